"""Every benchmark in turn: `make bench`. bench/README.md says what the figures mean."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What each measures, and how it is called.
BENCHMARKS = {
    "the platform program": ["platform_program.py"],
    "calls": ["server_calls.py"],
    "bridged calls, and what bridges leave": ["gateway_calls.py"],
    "idle connections": ["idle_connections.py"],
    "a registry": ["mesh_registry.py", "--agents", "1000", "10000", "--seconds", "15"],
    "a registry with Redis": ["mesh_registry.py", "--agents", "10000", "--seconds", "15", "--redis"],
}


def main() -> int:
    failed = 0
    for title, (script, *options) in BENCHMARKS.items():
        print(f"\n## {title}\n", flush=True)
        failed |= subprocess.run([sys.executable, str(HERE / script), *options], cwd=HERE.parent).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
