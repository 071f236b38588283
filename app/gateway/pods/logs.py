"""What containers write, read through the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.gateway.launcher import LaunchError
from app.gateway.pods.api import pause
from app.gateway.pods.asking import PodApi
from app.gateway.pods.manifest import CONTAINER
from app.kubernetes import ApiAway, ApiError


async def read_log(
    pods: PodApi, name: str, lines: int, *, follow: bool = False, restarted: bool = False
) -> AsyncIterator[str]:
    """The newest lines, then each as it comes: until the pod is gone, over restarts of its container.

    Of a container that just started anew, what its last life wrote comes first. Raises `LaunchError`.
    """
    told = 0
    if restarted and lines > 0:
        earlier = [line async for line in _once(pods, name, lines, previous=True)]
        now = [line async for line in _once(pods, name, lines)]
        for line in earlier[: max(0, lines - len(now))]:
            yield line
            told += 1
    since = ""
    failed = 0
    while True:
        async for line in _once(pods, name, lines, follow=follow, since=since, stamped=True):
            stamp, _, text = line.partition(" ")
            if stamp > since:
                since, failed = stamp, 0
                yield text
        if not follow or await pods.get(name) is None:
            return
        failed += 1
        await pause(failed + 1)


async def _once(
    pods: PodApi,
    name: str,
    lines: int,
    *,
    follow: bool = False,
    previous: bool = False,
    since: str = "",
    stamped: bool = False,
) -> AsyncIterator[str]:
    query = {"container": CONTAINER}
    if since:
        query["sinceTime"] = since
    else:
        query["tailLines"] = str(max(0, lines))
    for flag, given in {"follow": follow, "previous": previous, "timestamps": stamped}.items():
        if given:
            query[flag] = "true"
    try:
        async with pods.api.lines(pods.path(name, part="log"), query, silence=None if follow else 30) as found:
            async for line in found:
                yield line.decode(errors="replace")
    except ApiError as error:
        # There is no log yet, or no longer.
        if error.status not in (400, 404):
            raise LaunchError(f"the log of {name} cannot be read: {error}") from None
    except ApiAway as error:
        if not follow:
            raise LaunchError(str(error)) from None
