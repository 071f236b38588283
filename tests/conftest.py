"""What every test run has: the option that rewrites snapshots, and no silent skips where CI looks."""

import os
from collections.abc import Generator
from typing import Any

import pytest

IN_CI = os.environ.get("CI") == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="rewrite the approved snapshots")
    parser.addoption("--screenshots", action="store_true", help="rewrite the pictures in docs/images")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI nothing is skipped: what is missing there is a failure, with the skip's own remedy as the message."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, str(report.longrepr))
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI must run everything: {reason}"
    return report
