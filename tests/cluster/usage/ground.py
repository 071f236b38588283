"""What stacks are tried on: the test node or somebody else's cluster, and what fits them to it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import hand_over
from engine.overlays import for_existing, for_node
from engine.stack import Engine, laid_over, stack_config
from harness.existing import EXISTING

# A node that has to come up with pods after pods, on two cores.
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Ground:
    """A cluster, with the image that it runs the platform's program from."""

    kubeconfig: Path
    image: str
    # All of the node's own, by name. Another cluster pulls what the stacks name.
    images: Mapping[str, str]

    def engine(self, folder: Path) -> Engine:
        push = "" if EXISTING else f"{sys.executable} {hand_over.__file__}"
        return Engine(folder, self.kubeconfig, patience=PATIENCE_SECONDS, image=self.image, push=push)

    def config(self, name: str) -> dict[str, Any]:
        """What the repository ships for a stack, fitted."""
        fitted = for_existing(name, self.image) if EXISTING else for_node(name, dict(self.images))
        return laid_over(stack_config(name), fitted)
