"""What a registry costs: `PYTHONPATH=. python bench/mesh_registry.py [--agents 1000 10000 50000] [--seconds 30]`.

Starts `slipway registry` on this machine, pinned to one core, and plays agents from this process on the other: each
registers, then beats every `--interval` seconds with a request of its own, on a socket of its own up to `--sockets`
(beyond, agents share them; `--batch` puts the heartbeats of so many agents into one request). Lookups go on beside
that. CPU and memory of the registry are read from the OS. `--redis` keeps the agents in a Redis server that is
started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import uvloop
from mesh_agents import Result, batched, beat, connect, get, look_up, register
from weighing import cpu, free_port, memory


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


async def measure(agents: int, options: argparse.Namespace) -> Result:
    result = Result(agents)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "MCP_MESH_MAX_BEATS": "100000",
            "MCP_LOG_LEVEL": "warning",
            "MCP_KEEP_ALIVE_TIMEOUT": "600",
            **({"REDIS_URL": f"redis://127.0.0.1:{options.redis_port}/0"} if options.redis else {}),
        }
        command = [sys.executable, "-m", "app.cli", "registry", "--port", str(options.port), "--data", folder]
        pinned = ["taskset", "-c", "0", *command]
        with subprocess.Popen(pinned, env=environment) as process:  # noqa: ASYNC220
            try:
                await played(process.pid, agents, options, result)
            finally:
                process.terminate()
    return result


async def played(pid: int, agents: int, options: argparse.Namespace, result: Result) -> None:
    for _ in range(600):
        await asyncio.sleep(0.1)
        try:
            few = await connect(options.port, 64)
            break
        except OSError:
            continue
    else:
        raise RuntimeError("the registry did not start")
    await few[0].ask(get("/discover?capability=nothing"))
    before, began = memory(pid), time.perf_counter()
    beats = batched(await register(few, agents), options.batch)
    result.register_seconds = time.perf_counter() - began
    await asyncio.sleep(2)
    result.bytes_each = (memory(pid) - before) / agents
    gc.collect()
    gc.disable()  # the pauses would be ours, not the registry's
    before = memory(pid)
    sockets = await connect(options.port, min(len(beats), options.sockets))
    result.sockets = len(sockets)
    until = time.perf_counter() + options.interval + options.seconds
    beating = asyncio.create_task(beat(sockets, beats, options.interval, until, result))
    await asyncio.sleep(options.interval)
    result.socket_bytes = (memory(pid) - before) / len(sockets)
    used, began = cpu(pid), time.perf_counter()
    if not options.quiet:
        await look_up(few[0], until, result)
    await beating
    elapsed = time.perf_counter() - began
    result.rate = len(result.beats) * options.batch / elapsed
    result.cpu_share = (cpu(pid) - used) / elapsed
    result.cpu_each = (cpu(pid) - used) / max(1, len(result.beats) * options.batch)
    gc.enable()
    for one in (*few, *sockets):
        if one.transport is not None:
            one.transport.abort()


def start_redis(folder: str) -> tuple[subprocess.Popen[bytes], int]:
    """A Redis server with nothing in it, and its port."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not on PATH: install it (Debian: apt-get install redis-server)")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL), port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=18090)
    parser.add_argument("--quiet", action="store_true", help="no lookups beside the heartbeats")
    parser.add_argument("--batch", type=int, default=1, help="heartbeats in one request")
    parser.add_argument("--redis", action="store_true", help="keep agents in Redis instead of in a file")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {os.cpu_count() - 1} if os.cpu_count() else {0})
    print(
        "| agents | sockets | registered in s | KiB an agent | KiB a socket | heartbeats a s | CPU of a core | "
        "µs a heartbeat | heartbeat p50 / p99 ms | lookup p50 / p99 ms | wrong |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for agents in options.agents:
        with tempfile.TemporaryDirectory() as folder:
            redis = None
            if options.redis:
                redis, options.redis_port = start_redis(folder)
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    report(runner.run(measure(agents, options)))
            finally:
                if redis is not None:
                    redis.terminate()
                    redis.wait()


def report(r: Result) -> None:
    beats = f"{percentile(r.beats, 0.5) * 1000:.1f} / {percentile(r.beats, 0.99) * 1000:.1f}"
    lookups = f"{percentile(r.lookups, 0.5) * 1000:.1f} / {percentile(r.lookups, 0.99) * 1000:.1f}"
    print(
        f"| {r.agents:,} | {r.sockets:,} | {r.register_seconds:.1f} | {r.bytes_each / 1024:.2f} | "
        f"{r.socket_bytes / 1024:.1f} | {r.rate:,.0f} | {r.cpu_share:.0%} | {r.cpu_each * 1e6:.0f} | {beats} | "
        f"{lookups} | {r.wrong} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
