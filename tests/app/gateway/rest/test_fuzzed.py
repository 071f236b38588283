"""Requests that nobody would send: none may break the API, and every answer is as documented."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from yard import Yard

from app.gateway.manager.manager import Manager
from app.gateway.rest import Rest
from app.gateway.templates import Templates
from app.server import bind, port_of

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


async def _serve(listener: object, ready: threading.Event, done: list[object]) -> None:
    yard = Yard()
    manager = await yard.manager()
    site = Rest(manager, Templates()).site("gateway", "1")
    server = uvicorn.Server(uvicorn.Config(site, log_config=None, lifespan="off"))
    server.install_signal_handlers = lambda: None
    done += [server, asyncio.get_running_loop()]
    ready.set()
    await server.serve(sockets=[listener])
    await yard.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listener = bind("127.0.0.1", 0)
    ready, made = threading.Event(), []
    thread = threading.Thread(target=lambda: asyncio.run(_serve(listener, ready, made)))
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{port_of(listener)}"
    made[1].call_soon_threadsafe(setattr, made[0], "should_exit", True)
    thread.join(20)
    listener.close()


def _document():
    yard = Yard()
    manager = Manager(yard.launcher, yard.resolver, yard.catalogue, yard.open_upstream)
    return Rest(manager, Templates()).site("gateway", "1").openapi()


schema = schemathesis.openapi.from_dict(_document())


@pytest.mark.filterwarnings("default")
@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(case, address):
    for name in ("wait", "after"):
        if isinstance(case.query, dict) and isinstance(case.query.get(name), int | float):
            case.query[name] = 0
    case.call_and_validate(base_url=address, checks=CHECKS)
