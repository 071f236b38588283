"""What the platform program itself costs: import, read the configuration, build, register, under mocks.

Each reading is a fresh process, as `pulumi up` starts one. Growth is shown by stacks of 1 to 100 servers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SIZES = (1, 10, 25, 50, 100)


def measure_here(source: str) -> dict[str, float]:
    """Evaluate one stack in this process; `source` is a stack file, or a number of servers."""
    began = time.perf_counter()
    cpu = time.process_time()
    sys.path.insert(0, str(REPOSITORY / "tests" / "infra"))
    import conftest as harness

    from infra.config import StackConfig
    from infra.platform import Platform, PlatformArgs

    imported = time.perf_counter()
    if source.isdigit():
        servers = {f"server-{number}": {"autoscaling": {}} for number in range(int(source))}
        values: dict[str, object] = {"environment": "dev", "servers": servers, "redis": {"mode": "standalone"}}
    else:
        values = harness.stack_values(source)

    def program() -> None:
        config = StackConfig.parse(values)
        Platform("slipway", PlatformArgs.from_config(config, image="slipway@sha256:" + "5a" * 32))

    stack = harness.run_program(program)
    return {
        "import_s": imported - began,
        "program_s": time.perf_counter() - imported,
        "total_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "resources": len(stack.registered),
    }


def measure(source: str, runs: int) -> dict[str, float]:
    """The median of fresh processes."""
    readings: list[dict[str, float]] = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--here", source]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
        readings.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(reading[key] for reading in readings) for key in readings[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", help="one reading in this process, as JSON")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_here(arguments.here)))
        return
    print("| stack | resources | import s | program s | total s | of that CPU s | ms a resource |")
    print("|---|---|---|---|---|---|---|")
    for source in ("dev", "prod", *map(str, SIZES)):
        name = f"{source} servers" if source.isdigit() else source
        found = measure(source, arguments.runs)
        each = 1000 * found["program_s"] / found["resources"]
        print(
            f"| {name} | {found['resources']:.0f} | {found['import_s']:.2f} | {found['program_s']:.2f} "
            f"| {found['total_s']:.2f} | {found['cpu_s']:.2f} | {each:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
