"""Stacks in use: one is up at a time, for all the tests that follow one another with it."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from engine.lifecycle import Life, fine, wait_for
from engine.plugins.kube.client import Cluster
from engine.stack import Stack, make_project

from usage.front import is_trusted, public_hosts
from usage.ground import Ground
from usage.turns import Turns


class Running:
    """Brings a stack up for whoever asks first, and down for whoever asks for another. Remembers how long each took."""

    def __init__(self, cluster: Cluster, ground: Ground, turns: Turns, folder: Path, trust: Path) -> None:
        self.stages: dict[str, float] = {}
        self._cluster = cluster
        self._ground = ground
        self._turns = turns
        self._folder = folder
        self._trust = trust
        self._life: Life | None = None
        self._turn = ExitStack()

    def stack(self, name: str) -> Stack:
        """This stack, up, with the configuration that it ships with, fitted to the node."""
        if self._life is not None and self._life.stack.name == name:
            return self._life.stack
        self.none()
        self._turn.enter_context(self._turns.of_stack(name))
        folder = self._folder / name
        engine, project = self._ground.engine(folder / "engine"), make_project(folder / "slipway")
        stack = Stack(engine, project, name, self._ground.config(name))
        self._life = life = Life(stack, self._cluster, alone=False)
        began = time.monotonic()
        fine(stack.up(), f"the update of {name}")
        for host in public_hosts(self._cluster, life.space):
            wait_for(partial(is_trusted, host, self._trust), f"the certificate of {host} at the ingress", seconds=60)
        self.stages[f"{name}: up"] = time.monotonic() - began
        return stack

    def none(self) -> None:
        """Nothing of any stack, as before the first."""
        if self._life is None:
            return
        life, self._life = self._life, None
        name, namespace = life.stack.name, life.space
        began = time.monotonic()
        life.is_cleared_away()

        def gone() -> bool:
            return self._cluster.get("v1", "Namespace", None, namespace) is None

        wait_for(gone, f"the end of {name}")
        self.stages[f"{name}: down"] = time.monotonic() - began
        self._turn.close()
