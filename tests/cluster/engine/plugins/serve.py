"""Serves one stand-in plugin: prints the port that it listens on, then answers the engine until that ends it.

`python serve.py <kubernetes|docker|random> [the engine's address]`
"""

import importlib.util
import sys
import threading
from concurrent import futures
from pathlib import Path
from types import ModuleType

sys.path[0] = str(Path(__file__).resolve().parents[2])


def _without_its_own_imports(name: str) -> None:
    """Make a package known by its place alone: of Pulumi's, messages are needed, and all else takes longer."""
    found = importlib.util.find_spec(name)
    if found is None:
        raise ModuleNotFoundError(name=name)
    package = ModuleType(name)
    package.__path__ = found.submodule_search_locations or []
    sys.modules[name] = package


_without_its_own_imports("pulumi")
_without_its_own_imports("pulumi.runtime")
# httpx brings a command line along where it can, and that its libraries.
sys.modules["httpx._main"] = None

import grpc  # noqa: E402
from pulumi.runtime.proto import provider_pb2_grpc  # noqa: E402

MESSAGE_BYTES = 400 * 1024 * 1024


def main() -> None:
    name = sys.argv[1]
    addresses = [word for word in sys.argv[2:] if not word.startswith("-")]
    engine = addresses[0] if addresses else None
    if name == "kubernetes":
        from engine.plugins.kube.provider import KubernetesStandIn as StandIn
    elif name == "docker":
        from engine.plugins.docker_images import DockerStandIn as StandIn
    else:
        from engine.plugins.random_values import RandomStandIn as StandIn
    limits = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
    # One waits for a rollout, many others go on: as many threads as a stack has objects.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandIn(engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    _wait_for_the_end_of_the_engine()
    server.stop(None)


def _wait_for_the_end_of_the_engine() -> None:
    """The engine kills its plugins; one that the engine could not kill must not stay either."""
    import os

    engine = os.getppid()
    pause = threading.Event()
    while os.getppid() == engine:
        pause.wait(2)


if __name__ == "__main__":
    main()
