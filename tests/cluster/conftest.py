"""Tests on a real cluster: `make test-cluster`. Without `--cluster`, only what needs none of it is collected here."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# The harness and the engine are packages of this folder.
sys.path.insert(0, str(HERE))

from harness.api import Api  # noqa: E402
from harness.places import IMAGES, KUBECONFIG  # noqa: E402

EVERYWHERE = HERE / "units"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="run the tests that need a cluster")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("--cluster", default=False) or collection_path in (HERE, EVERYWHERE):
        return None
    return None if EVERYWHERE in collection_path.parents else True


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
    if not IMAGES.exists():
        pytest.skip("the harness's images are in the test node's registry only")
    return json.loads(IMAGES.read_text(encoding="utf-8"))


@pytest.fixture
def kubectl(kubeconfig: Path) -> Callable[..., str]:
    """Runs kubectl; returns what it said, or raises with why not."""

    def call(*arguments: str, text: str | None = None, seconds: float = 120) -> str:
        command = ["kubectl", f"--kubeconfig={kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return call


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own, which goes with it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
