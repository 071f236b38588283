"""The server passes the official conformance suite: every check of every scenario, the optional ones included."""

from __future__ import annotations

from pathlib import Path

import pytest

# What the suite itself can never pass, by scenario and check: the status it gives, and why.
EXCUSED = {
    ("tasks-status-notifications", "tasks-status-notifications"): (
        "SKIPPED",
        "the suite skips it always: its harness does not listen where the specification now sends notifications/tasks",
    ),
}
PASSED = {"SUCCESS", "INFO"}

# What the suite lets pass with a remark, and we do not.
DEMANDED = {("server-sse-polling", "server-sse-disconnect-resume")}


def verdict(checks: list) -> dict[tuple[str, str], tuple[str, str]]:
    """What neither passed nor is excused, with the suite's words."""
    return {
        (check.scenario, check.id): (check.status, check.message)
        for check in checks
        if check.status not in (PASSED if (check.scenario, check.id) not in DEMANDED else {"SUCCESS"})
        and EXCUSED.get((check.scenario, check.id), ("",))[0] != check.status
    }


@pytest.mark.parametrize(
    ("selection", "scenarios"),
    [
        pytest.param(("--requirements", "2025-11-25"), 33, id="2025-11-25"),
        pytest.param(("--requirements", "2026-07-28"), 50, id="2026-07-28"),
        pytest.param(("--suite", "all"), 65, id="all"),
    ],
)
def test_every_check_of_the_official_suite_passes(
    suite, server_url: str, tmp_path: Path, selection: tuple[str, ...], scenarios: int
) -> None:
    checks = suite.run("server", "--url", server_url, *selection, into=tmp_path / "results")
    assert len({check.scenario for check in checks}) == scenarios
    assert verdict(checks) == {}


def test_every_check_passes_whichever_of_two_workers_answers(suite, url_of_two_workers: str, tmp_path: Path) -> None:
    checks = suite.run("server", "--url", url_of_two_workers, "--suite", "all", into=tmp_path / "results")
    assert len({check.scenario for check in checks}) == 65
    assert verdict(checks) == {}
