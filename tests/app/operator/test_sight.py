"""An operator that sees nothing of its agents does not stay so."""

import asyncio

import pytest

from app.operator.sight import Blind, keep_in_sight


class Api:
    """Serves agents at some looks, and counts the looks."""

    def __init__(self, *served: bool) -> None:
        self.served = list(served)

    async def get(self, path: str) -> dict | None:
        assert path == "/apis/mesh.mcp.io/v1"
        if not self.served:
            raise AssertionError("it went on looking")
        return {"resources": [{"name": "mcpagents"}, {"name": "mcpagents/status"}]} if self.served.pop(0) else None


async def test_agents_that_are_served_but_not_watched_end_the_work() -> None:
    with pytest.raises(Blind, match="not watched"):
        await keep_in_sight(Api(True, True, True), every=0)


async def test_a_definition_that_comes_and_goes_is_given_time() -> None:
    with pytest.raises(Blind):
        await keep_in_sight(Api(True, True, False, True, True, True), every=0)


async def test_nothing_ends_while_somebody_watches() -> None:
    watcher = asyncio.create_task(asyncio.Event().wait(), name="watcher for mcpagents.v1.mesh.mcp.io@None")
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await keep_in_sight(Api(), every=0)
    finally:
        watcher.cancel()
