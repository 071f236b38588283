"""The registry as an agent asks it, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from app.mesh.model import Beat, BeatAnswer, Beats, Dependency, Found, Registered, Registration

if TYPE_CHECKING:
    import httpx

_SECONDS = 5.0
_MOST_RETRY_AFTER = 120.0
_decode_registered = msgspec.json.Decoder(Registered).decode
_decode_beats = msgspec.json.Decoder(BeatAnswer).decode


class _Lookup(msgspec.Struct):
    agents: list[Found]


_decode_lookup = msgspec.json.Decoder(_Lookup).decode


class RegistryAway(Exception):
    """The registry cannot be reached or cannot answer now; `retry_after` is what it asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RegistryRefused(Exception):
    """The registry does not take what it was told; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Directory:
    """One registry, behind whichever address. Every method raises `RegistryAway` or `RegistryRefused`."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client: httpx.AsyncClient | None = None

    async def register(self, told: Registration) -> Registered:
        """Join, or tell what has changed."""
        answer = await self._ask("POST", "/agents", body=msgspec.json.encode(told))
        return _decoded(_decode_registered, answer)

    async def beat(self, beat: Beat) -> BeatAnswer:
        """Tell that the agent is there."""
        answer = await self._ask("POST", "/heartbeats", body=msgspec.json.encode(Beats([beat])))
        return _decoded(_decode_beats, answer)

    async def deregister(self, agent: str, token: str) -> None:
        """Leave."""
        await self._ask("DELETE", f"/agents/{agent}", headers={"authorization": f"Bearer {token}"})

    async def discover(self, need: Dependency, etag: str | None) -> tuple[list[Found] | None, str | None]:
        """Who can do it, with the answer's tag; None where nothing has changed since `etag`."""
        query = [
            ("capability", need.capability),
            ("version", need.version or "*"),
            *(("tag", tag) for tag in need.tags),
        ]
        headers = {"if-none-match": etag} if etag else {}
        answer = await self._ask("GET", "/discover", query=query, headers=headers)
        if answer.status_code == 304:
            return None, etag
        return _decoded(_decode_lookup, answer).agents, answer.headers.get("etag")

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        import httpx

        if self._client is None:
            # What is set for browsers and package managers must not lead the mesh through a proxy.
            self._client = httpx.AsyncClient(timeout=_SECONDS, trust_env=False)
        try:
            answer = await self._client.request(
                method,
                self.url + path,
                content=body,
                params=list(query),
                headers={"content-type": "application/json", **self._headers, **(headers or {})},
            )
        except httpx.HTTPError as error:
            raise RegistryAway(
                f"the registry at {self.url} cannot be reached: {error or type(error).__name__}"
            ) from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise RegistryAway(f"the registry answers {answer.status_code}", _retry_after(answer))
        if answer.status_code >= 400:
            raise RegistryRefused(answer.status_code, _detail(answer))
        return answer


def _decoded(decode: Any, answer: httpx.Response) -> Any:
    try:
        return decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryAway(f"what answers at {answer.url.host} is no registry: {error}") from None


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return min(max(float(answer.headers["retry-after"]), 0.0), _MOST_RETRY_AFTER)
    except (KeyError, ValueError):
        return None


def _detail(answer: httpx.Response) -> str:
    class Told(msgspec.Struct):
        detail: str = ""

    try:
        return msgspec.json.decode(answer.content, type=Told).detail or f"the registry answers {answer.status_code}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"the registry answers {answer.status_code}"
