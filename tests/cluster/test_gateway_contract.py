"""The contract that local processes keep, kept by pods of a real node, each process started through the exec API."""

import asyncio
import importlib.util
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from app.gateway.launcher import Launched
from app.gateway.pods.api import Api
from app.gateway.pods.launcher import PodLauncher
from app.gateway.pods.options import PodOptions
from app.gateway.spec import LaunchSpec, Limits
from app.kubernetes.access import of_kubeconfig

pytestmark = pytest.mark.cluster

CONTRACT = Path(__file__).parents[1] / "app" / "gateway" / "launching" / "test_contract.py"


def contract() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launcher_contract", CONTRACT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLAUSES = {name: test for name, test in vars(contract()).items() if name.startswith("test_")}
globals().update(CLAUSES)


@dataclass
class Subject:
    """A launcher of pods, and how it is told to run one of the servers of `hostile.py`."""

    launcher: PodLauncher
    spec: Callable[..., LaunchSpec]

    async def until(self, server_id: str, *states: str) -> Launched:
        async for launched in self.launcher.watch():
            if launched.id == server_id and launched.state in states:
                return launched
        raise AssertionError("the launcher was closed")


@pytest.fixture
async def subject(kubeconfig, namespace, images) -> AsyncIterator[Subject]:
    def spec(manner: str, number: int = 0, *, name: str = "server", **more: object) -> LaunchSpec:
        given = {
            "id": name,
            "type": "image",
            "image": images["servers"],
            "transport": "stdio",
            "command": ("/usr/bin/python3", "-I", "-S", "/srv/hostile.py", manner, str(number)),
            "limits": Limits(cpu="1", memory="128Mi", cpu_request="10m", memory_request="32Mi"),
        }
        return LaunchSpec(**{**given, **more})

    options = PodOptions(namespace=namespace, gateway=f"gw-{uuid.uuid4().hex[:4]}", grace=1, after_input=0.5)
    launcher = PodLauncher(Api(lambda: of_kubeconfig(kubeconfig)), options)
    try:
        async with asyncio.timeout(120):
            yield Subject(launcher, spec)
    finally:
        await launcher.close()
    assert len(asyncio.all_tasks()) == 1
