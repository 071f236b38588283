"""`/servers`: start, list, look at, stop; logs and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.gateway.manager.manager import Manager
from app.gateway.rest.access import Reader, Writer
from app.gateway.rest.idempotency import IdempotentAnswers
from app.gateway.rest.models import HealthView, LogView, ServerView, StartRequest
from app.gateway.rest.problems import documented
from app.gateway.rest.streaming import line_events
from app.gateway.upstream import UpstreamUnavailable

_LONGEST_WAIT = 600

Wait = Annotated[float, Query(ge=0, le=_LONGEST_WAIT, description="Seconds to wait for it")]
ServerId = Annotated[str, Path(max_length=63, examples=["time"])]


def servers_router(manager: Manager, closing: asyncio.Event) -> APIRouter:
    """The endpoints; streams end when `closing` is set."""
    router = APIRouter(prefix="/servers", tags=["servers"])
    answers: IdempotentAnswers[tuple[str, bool]] = IdempotentAnswers()

    @router.post(
        "",
        summary="Start a server",
        description="Again with the same body, it changes nothing and answers 200. With another body it is refused, "
        "or with `replace` the new one takes the place of the old one once it is ready.",
        responses={
            200: {"description": "It was there already", "model": ServerView},
            201: {"description": "It is being started", "model": ServerView},
            **documented(400, 401, 403, 409, 422, 503),
        },
        status_code=201,
    )
    async def start(
        request: Request,
        given: StartRequest,
        caller: Writer,
        wait: Annotated[Wait, Query(description="Seconds to wait until it is ready, degraded or failed")] = 0,
        idempotency_key: Annotated[str | None, Header(description="Of a request that may be sent twice")] = None,
    ) -> JSONResponse:
        async def begin() -> tuple[str, bool]:
            status, made = await manager.start(
                given.name, given.spec(), by=caller.subject, ttl=given.ttl_seconds, replace=given.replace
            )
            return status.id, made

        server, made = await answers.once(caller.subject, idempotency_key, await request.body(), begin)
        status = await manager.settled(server, wait) if wait else manager.get(server)
        headers = {"location": f"/servers/{server}"}
        return JSONResponse(ServerView.of(status).model_dump(mode="json"), 201 if made else 200, headers)

    @router.get("", summary="All servers", responses=documented(401, 403))
    async def every(_caller: Reader) -> list[ServerView]:
        return [ServerView.of(status) for status in manager.list()]

    @router.get("/{server}", summary="One server", responses=documented(401, 403, 404, 422))
    async def one(
        server: ServerId,
        _caller: Reader,
        after: Annotated[int | None, Query(description="Wait until it has another revision than this")] = None,
        wait: Wait = 0,
    ) -> ServerView:
        if after is not None and wait:
            return ServerView.of(await manager.changed(server, after, wait))
        return ServerView.of(await manager.settled(server, wait) if wait else manager.get(server))

    @router.delete(
        "/{server}",
        summary="Stop a server, and wait until it is gone",
        status_code=204,
        responses=documented(401, 403, 404, 409, 422, 503),
    )
    async def stop(server: ServerId, caller: Writer) -> Response:
        await manager.stop(server, by=caller.subject)
        return Response(status_code=204)

    @router.get(
        "/{server}/logs",
        summary="What a server wrote to its log",
        description='With `follow` as server-sent events, each with one line as JSON: `{"line": …}`.',
        response_model=LogView,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **documented(401, 403, 404, 422, 503),
        },
    )
    async def logs(
        server: ServerId,
        _caller: Reader,
        lines: Annotated[int, Query(ge=1, le=10_000)] = 100,
        follow: bool = False,
    ) -> Response:
        manager.get(server)
        written = manager.logs(server, lines=lines, follow=follow)
        if follow:
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            return StreamingResponse(line_events(written, closing), media_type="text/event-stream", headers=headers)
        return JSONResponse({"id": server, "lines": [line async for line in _reached(written)]})

    @router.get(
        "/{server}/health",
        summary="Whether a server answers now",
        responses={503: {"description": "It does not", "model": HealthView}, **documented(401, 403, 404, 422)},
    )
    async def health(server: ServerId, _caller: Reader, response: Response) -> HealthView:
        status, seconds, reason = await manager.health(server)
        if seconds is None:
            response.status_code = 503
        return HealthView(id=server, phase=status.phase, healthy=seconds is not None, seconds=seconds, reason=reason)

    return router


async def _reached(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The lines; of a server whose log cannot be had, why."""
    try:
        async for line in lines:
            yield line
    except UpstreamUnavailable as error:
        yield f"(the log cannot be read: {error})"
