"""Makes the tests' image known under the name that a stack gives it: `python hand_over.py IMAGE NAME`.

What a stack would build and push lies in the test node's registry already. There it also stands in for docker.io.
"""

import subprocess
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from harness.build import Tool  # noqa: E402
from harness.runtime import REGISTRY  # noqa: E402


def place(name: str) -> str:
    """Where the registry has an image of this name: `slipway:1` is docker.io's `library/slipway:1`."""
    first, _, rest = name.partition("/")
    if not rest:
        return f"{REGISTRY}/library/{name}"
    if first in (REGISTRY, "docker.io"):
        return f"{REGISTRY}/{rest}"
    if "." in first or ":" in first:
        raise SystemExit(f"{name} is of a registry that the test node does not stand in for")
    return f"{REGISTRY}/{name}"


def main() -> None:
    image, name = sys.argv[1:]
    command = [str(Tool("crane").binary("crane")), "copy", "--insecure", image, place(name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SystemExit(done.stderr.strip()[-500:])


if __name__ == "__main__":
    main()
