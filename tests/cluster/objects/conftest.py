"""Objects without pods: an API server, its controllers and its admission, and the real engine on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.api_server import ApiServer
from engine.definitions import define
from engine.plugins.kube.client import Cluster
from engine.stack import Engine, Stack, make_project


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(api_server: ApiServer) -> Iterator[Cluster]:
    found = Cluster(str(api_server.kubeconfig))
    define(found)
    yield found
    found.close()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project") / "slipway")


@pytest.fixture
def make_stack(cluster: Cluster, api_server: ApiServer, project: Path, tmp_path: Path) -> Callable[..., Stack]:
    """A stack on the API server, which waits for nothing to become ready: no pod ever runs there."""
    engine = Engine(tmp_path / "engine", api_server.kubeconfig, wait=False, patience=60)

    def make(name: str, config: dict[str, Any]) -> Stack:
        return Stack(engine, project, name, config)

    return make
