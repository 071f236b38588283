"""A thousand agents on nodes that kwok plays: all become ready, and what that took the operator is printed.

`pytest tests/cluster/objects/operator/test_a_thousand_agents.py --cluster -s` shows the figures of `bench/README.md`.
"""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine.api_server import ApiServer, free_ports
from harness.api import Api
from harness.build import Tool, build

from .conftest import Operators, Process, eventually, grant, prepare

AGENTS = int(os.environ.get("SLIPWAY_TEST_AGENTS", "1000"))
SPACE = "crowd"
AGENT_LIST = f"/apis/mesh.mcp.io/v1/namespaces/{SPACE}/mcpagents"
PATIENCE = 3000
# The others should not be what is waited for: by themselves they make 20 calls a second.
UNHURRIED = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with a scheduler, and nodes whose pods kwok makes ready at once."""
    build(["kwok"])
    with ApiServer(tmp_path_factory.mktemp("played"), controllers=UNHURRIED) as server:
        api = Api(server.kubeconfig)
        for index in range(10):
            api.apply(_node(f"node-{index}"))
        port = free_ports(1)[0]
        scheduler = Tool("kubernetes").binary("kube-scheduler")
        server._spawn(
            "kube-scheduler",
            [
                scheduler,
                f"--kubeconfig={server.kubeconfig}",
                "--leader-elect=false",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                *UNHURRIED,
            ],
        )
        kwok = [Tool("kwok").binary("kwok"), f"--kubeconfig={server.kubeconfig}", "--manage-all-nodes"]
        # Without leases a node that is slow to write its status counts as lost; there are more pods than a /24 holds.
        server._spawn("kwok", [*kwok, "--node-lease-duration-seconds=40", "--cidr=10.128.0.0/16"])
        api.close()
        yield server


def _node(name: str) -> dict[str, Any]:
    room = {"cpu": "1000", "memory": "1000Gi", "pods": "1000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": room, "allocatable": room},
    }


@dataclass
class Took:
    """What something took the operator."""

    what: str
    seconds: float
    calls: dict[str, float]
    cpu: float
    memory: float

    @property
    def each(self) -> float:
        """Calls an agent."""
        return sum(self.calls.values()) / AGENTS

    def __str__(self) -> str:
        calls = ", ".join(f"{verb} {count:.0f}" for verb, count in sorted(self.calls.items()) if count)
        return (
            f"{self.what}: {self.seconds:.1f} s, {self.each:.2f} calls an agent ({calls or 'none'}), "
            f"{self.cpu:.1f} s of CPU, {self.memory:.0f} MiB"
        )


class Meter:
    """Reads an operator before and after."""

    def __init__(self, operator: Process) -> None:
        self._operator = operator
        self._began = time.monotonic()
        self._calls, self._cpu = self._read()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def took(self, what: str) -> Took:
        calls, cpu = self._read()
        status = Path(f"/proc/{self._operator.process.pid}/status").read_text()
        return Took(
            what,
            self.seconds,
            {verb: count - self._calls.get(verb, 0) for verb, count in calls.items()},
            cpu - self._cpu,
            int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        )

    def _read(self) -> tuple[dict[str, float], float]:
        verbs = ("GET", "POST", "PATCH", "PUT", "DELETE")
        calls = {verb: self._operator.metric(rf'slipway_operator_api_calls_total\{{.*verb="{verb}"') for verb in verbs}
        fields = Path(f"/proc/{self._operator.process.pid}/stat").read_text().rpartition(")")[2].split()
        return calls, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _all_ready(api: Api) -> bool:
    found = api.items(AGENT_LIST)
    ready = sum(_is_settled(agent) for agent in found)
    return len(found) == AGENTS == ready


def _is_settled(agent: dict[str, Any]) -> bool:
    reasons = {each["reason"] for each in agent.get("status", {}).get("conditions", ())}
    return {"PodsReady", "Complete"} <= reasons


def test_all_become_ready_and_nothing_is_written_twice(played, tmp_path, capsys):
    api = prepare(played)
    operators = Operators(grant(played, api, tmp_path), tmp_path)
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})

    def report(took: Took) -> Took:
        with capsys.disabled():
            print(f"\n{took}")  # noqa: T201 - what this test is run by hand for
        return took

    try:
        leader = operators.lead()
        meter = Meter(leader)
        _make_all(api)
        created = meter.seconds
        while not _all_ready(api):
            assert meter.seconds < PATIENCE, leader.log.read_text()[-3000:]
            time.sleep(1)
        made = report(meter.took(f"{AGENTS} agents made within {created:.1f} s, all ready"))
        # A finalizer, seven objects, two or three statuses and three events.
        assert made.each < 18
        leader.end()

        second = operators.lead(MCP_OPERATOR_RESYNC_SECONDS="20")
        meter = Meter(second)
        looked = "slipway_operator_reconciles_total"
        eventually(lambda: second.metric(looked) >= AGENTS, "all are looked at", seconds=PATIENCE)
        after = report(meter.took("another operator takes over"))
        meter = Meter(second)
        time.sleep(60)
        idle = report(meter.took("a minute with resyncs"))
        assert (after.calls["PATCH"], after.calls["POST"]) == (idle.calls["PATCH"], idle.calls["POST"]) == (0, 0)
    finally:
        operators.end()
        api.close()


def _make_all(api: Api) -> None:
    def make(index: int) -> None:
        metadata = {"name": f"agent-{index}", "namespace": SPACE}
        spec = {"capabilities": [{"name": "greeting"}]}
        api.apply({"apiVersion": "mesh.mcp.io/v1", "kind": "MCPAgent", "metadata": metadata, "spec": spec})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(AGENTS)))
