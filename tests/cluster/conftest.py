"""Tests on a real cluster: `make test-cluster`. Without `--cluster`, only what needs none of it is collected here."""

import json
import os
import socket
import ssl
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
# The harness and the engine are packages of this folder.
sys.path.insert(0, str(HERE))

# ruff: noqa: E402
from engine.definitions import define
from engine.plugins.kube.client import Cluster
from harness import acme
from harness.api import Api
from harness.existing import EXISTING, IMAGE, REMEDY
from harness.places import IMAGES, KUBECONFIG, RUN
from usage.edges import FOREIGN
from usage.front import PUBLIC
from usage.ground import Ground
from usage.reach import Walk
from usage.running import Running
from usage.stages import Stages
from usage.turns import Turns
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

EVERYWHERE = HERE / "units"
LIVES = "test_stacks.py"
# When all that needs no node is done, the process that did it lives one too.
LIVED_LAST = "[archon]"
# Pods have few shares of the processors, and clients wait for them: what is done beside takes what is left.
NICENESS = {"the node": 0, "lives": 10, "beside": 13}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="run the tests that need a cluster")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cluster", default=False):
        config.pluginmanager.register(Stages(HERE), "stages")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("--cluster", default=False) or collection_path in (HERE, EVERYWHERE):
        return None
    return None if EVERYWHERE in collection_path.parents else True


def scope(nodeid: str) -> str:
    """Which of three processes does it: one uses stacks on the node, one lives their lives, one does all else."""
    file = Path(nodeid.partition("::")[0])
    if file.name == LIVES:
        return "beside" if nodeid.endswith(LIVED_LAST) else "lives"
    return "the node" if file.parent.name == HERE.name else "beside"


class BesideTheNode(LoadScopeScheduling):
    """Who works on the node waits most of the time: others do the rest meanwhile."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    return BesideTheNode(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A stack whose life a run shows with pods, it does not show without them too: a minute each, for nothing."""
    items.sort(key=lambda item: item.nodeid.endswith(LIVED_LAST))
    if not (IMAGE if EXISTING else IMAGES.exists()):
        return
    stacks = {item: item.callspec.params for item in items if "stack_lives" in item.name and hasattr(item, "callspec")}
    with_pods = {given["life"] for given in stacks.values() if "life" in given}
    twice = [item for item, given in stacks.items() if given.get("stack_name") in with_pods]
    if twice:
        config.hook.pytest_deselected(items=twice)
        items[:] = [item for item in items if item not in twice]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and not os.nice(0):
        os.nice(NICENESS[scope(item.nodeid)])


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whose cluster the tests use: the test node's, or with everything in one file an existing one's."""
    given = Path(os.environ.get("KUBECONFIG") or KUBECONFIG)
    if given == KUBECONFIG:
        return given
    command = ["kubectl", f"--kubeconfig={given}", "config", "view", "--raw", "--minify", "--flatten"]
    flat = tmp_path_factory.mktemp("kubeconfig") / "kubeconfig"
    flat.write_text(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout, "utf-8")
    flat.chmod(0o600)
    return flat


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[Api]:
    server = Api(kubeconfig)
    yield server
    server.close()


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The harness's images by name, each by digest. Skips where the cluster is not the test node."""
    if EXISTING or not IMAGES.exists():
        pytest.skip("the harness's images are in the test node's registry only")
    return json.loads(IMAGES.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def ground(kubeconfig: Path, request: pytest.FixtureRequest) -> Ground:
    if not EXISTING:
        images = request.getfixturevalue("images")
        return Ground(kubeconfig, images["app"], images)
    if not IMAGE:
        pytest.skip(REMEDY)
    return Ground(kubeconfig, IMAGE, {})


@pytest.fixture(scope="session")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Turns:
    """Between the processes of this run."""
    folder = tmp_path_factory.getbasetemp()
    return Turns(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path, turns: Turns) -> Iterator[Cluster]:
    """The cluster as the stand-in for the Kubernetes plugin sees it, with every kind that a stack uses defined."""
    found = Cluster(str(kubeconfig))

    def forget(names: list[str]) -> None:
        for name in names:
            found.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")

    with turns.shared("definitions", lambda: define(found), forget):
        yield found
    found.close()


@pytest.fixture(scope="session")
def running(
    cluster: Cluster,
    ground: Ground,
    trust: Path,
    turns: Turns,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Iterator[Running]:
    """Stacks in use on the test node, one at a time; the last one goes with the tests."""
    found = Running(cluster, ground, turns, tmp_path_factory.mktemp("running"), trust)
    pytestconfig.pluginmanager.get_plugin("stages").watch(found.stages)
    yield found
    found.none()


@pytest.fixture(scope="session")
def trust(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of what the node's ACME server issues."""
    context = ssl.create_default_context(cafile=str(RUN / "certificates" / "ca.crt"))
    path = tmp_path_factory.mktemp("trust") / "root.pem"
    path.write_text(httpx.get(acme.ROOT, verify=context, trust_env=False).text, encoding="utf-8")
    return path


@pytest.fixture
def outside(trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view of clients outside: public names lead to the ingress, and only its authority is trusted."""
    resolve = socket.getaddrinfo

    def resolve_public(host, *arguments, **options):
        name = host.decode() if isinstance(host, bytes) else host
        return resolve(PUBLIC.get(name, host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_public)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path) -> Callable[..., str]:
    """Runs kubectl; returns what it said, or raises with why not."""

    def call(*arguments: str, text: str | None = None, seconds: float = 300) -> str:
        command = ["kubectl", f"--kubeconfig={kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return call


@pytest.fixture(scope="session")
def foreign_spaces(cluster: Cluster, turns: Turns) -> Iterator[None]:
    """The namespaces of those who may call a stack: made as far as nobody has them, such as one of Prometheus."""

    def make() -> list[str]:
        absent = [name for name in FOREIGN if cluster.get("v1", "Namespace", None, name) is None]
        for name in absent:
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "slipway-tests")
        return absent

    def remove(names: list[str]) -> None:
        for name in names:
            cluster.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "Foreground")

    with turns.shared("foreign-spaces", make, remove):
        yield


@pytest.fixture
def walk(cluster: Cluster, kubectl: Callable[..., str], ground: Ground, foreign_spaces: None) -> Walk:
    return Walk(cluster, kubectl, ground.image)


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own, which goes with it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
