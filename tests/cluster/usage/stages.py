"""How long each part of a run took: told at its end, or handed to the harness, which adds its own parts."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from xdist.workermanage import WorkerController

# Where the harness wants them; it has more to tell.
FILE = "SLIPWAY_TEST_STAGES"


class Stages:
    """A plugin of pytest: seconds by test module, and by stack where a module goes through them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seconds: dict[str, float] = {}
        self._more: list[Mapping[str, float]] = []

    def watch(self, stages: Mapping[str, float]) -> None:
        """Stages within the tests that are timed elsewhere."""
        self._more.append(stages)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Where the tests are spread over processes, each tells the one that speaks for all."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["stages"] = [dict(more) for more in self._more]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        self._more += getattr(node, "workeroutput", {}).get("stages", [])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, test = report.nodeid.partition("::")
        name = file.removeprefix("tests/cluster/").removesuffix(".py")
        stack = test.partition("[")[2].removesuffix("]") if "lives" in test else ""
        part = f"{name} {stack}".strip()
        self._seconds[part] = self._seconds.get(part, 0) + report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        found = dict(self._seconds)
        for more in self._more:
            found |= {f"  of these {name}": seconds for name, seconds in more.items()}
        if not found:
            return
        if file := os.environ.get(FILE):
            Path(file).write_text(json.dumps(found), encoding="utf-8")
        else:
            terminalreporter.section("seconds by stage")
            terminalreporter.write_line(table(found))


def table(stages: Mapping[str, float]) -> str:
    width = max(map(len, stages), default=0)
    return "\n".join(f"{name:{width}} {seconds:7.1f} s" for name, seconds in stages.items())
