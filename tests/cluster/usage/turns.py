"""What only one of the processes that test on one cluster may have at a time."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

# Pods have somewhere to go: not while a test cordons the node.
SCHEDULING = "scheduling"
# Who tries who reaches whom, with pods in namespaces of others and addresses of this machine.
REACH = "reach"
# The definition of an MCPAgent, which a stack has and a chart brings.
AGENTS = "mcpagents"
# A port is the node's, not a stack's.
_MORE = {"dev": ("node-port-30800",), "websocket-server": ("node-port-30800",), "mesh": (AGENTS,)}


class Turns:
    """Locks by name, as files that all processes of a run see; the end of a process lets go of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def taken(self, *names: str) -> Iterator[None]:
        """Wait for them, always in the same order, and have them."""
        with ExitStack() as held:
            for name in sorted(names):
                file = held.enter_context((self._folder / f"{name}.turn").open("w"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def of_stack(self, name: str) -> AbstractContextManager[None]:
        """All that a stack has for itself while it is up."""
        return self.taken(f"stack-{name}", *_MORE.get(name, ()))

    @contextmanager
    def shared(self, name: str, begin: Callable[[], list[str]], end: Callable[[list[str]], None]) -> Iterator[None]:
        """Something begun by each who comes, as far as it is not there yet, and ended by the last who goes."""
        made = self._folder / f"{name}.made"
        with (self._folder / f"{name}.users").open("w") as users:
            with self.taken(name):
                fcntl.flock(users, fcntl.LOCK_SH)
                with made.open("a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in begin())
            try:
                yield
            finally:
                with self.taken(name), suppress(BlockingIOError):  # others are there still
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    end(made.read_text(encoding="utf-8").split())
                    made.unlink()
