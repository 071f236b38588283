"""Serving one client over stdin and stdout."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from app.cli._equipment import Equipment
from app.cli._wiring import Core, build_core
from app.process import end_now, loop_factory, settle_memory
from app.settings import Settings
from app.transports.stdio import StdioServer, protocol_streams


def serve_stdio(settings: Settings, bring: Callable[[Core], None] | None = None) -> int:
    """Until the client closes its end, or a signal; what runs is finished within the drain budget."""
    with protocol_streams() as (reader, writer), asyncio.Runner(loop_factory=loop_factory()) as runner:
        core = build_core(settings)
        if bring is not None:
            runner.run(_brought(core, bring))
        line, drain = settings.max_body_bytes, settings.drain_seconds
        server = StdioServer(core.dispatcher, reader, writer, max_line=line, drain=drain)
        settle_memory()
        if runner.run(_run(server, core.equipment)):
            logging.shutdown()
            # The thread that reads stdin still waits for the client: an orderly exit would wait with it.
            os._exit(0)
    return 0


async def _run(server: StdioServer, equipment: Equipment) -> bool:
    """Whether it was a signal that ended it."""
    loop = asyncio.get_running_loop()
    asked = False

    def ask() -> None:
        nonlocal asked
        if asked:
            end_now()
        asked = True
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    for step in equipment.on_start:
        await step()
    try:
        await server.run()
    finally:
        for step in reversed(equipment.on_stop):
            await step()
    return asked


async def _brought(core: Core, bring: Callable[[Core], None]) -> None:
    """On the running event loop, as over sockets."""
    bring(core)
