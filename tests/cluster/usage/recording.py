"""What the platform's program registers, from the recording harness of its own tests."""

import importlib.util
from pathlib import Path
from typing import Any

from engine.plugins.kube.naming import spell

_HARNESS = Path(__file__).parents[2] / "infra" / "conftest.py"


def harness() -> Any:
    """The recording harness of the platform's own tests."""
    spec = importlib.util.spec_from_file_location("platform_harness", _HARNESS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(stack: Any, *kinds: str) -> list[dict[str, Any]]:
    """What a program registered, as the API server takes it; names as the mock generated them."""
    return [
        spell({**made.inputs, "metadata": {**made.inputs["metadata"], "name": made.object_name}})
        for kind in kinds
        for made in stack.all(kind)
    ]
