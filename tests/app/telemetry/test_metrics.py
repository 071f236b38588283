"""Metrics: the fixed names, and labels that clients cannot multiply."""

from __future__ import annotations

import re

from app.telemetry.metrics import CONTENT_TYPE, Metrics


def values(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_an_answer_is_counted_and_timed_under_the_names_that_dashboards_use() -> None:
    metrics = Metrics(version="1")
    metrics.expect(["tools/call"])
    metrics.answered("tools/call", 0, 0.002)
    metrics.answered("tools/call", -32602, 0.2)
    found = values(metrics)
    assert found['mcp_requests_total{method="tools/call",status="ok"}'] == 1
    assert found['mcp_requests_total{method="tools/call",status="error"}'] == 1
    assert found['mcp_request_duration_seconds_count{method="tools/call"}'] == 2
    assert found['mcp_request_duration_seconds_bucket{le="0.0025",method="tools/call"}'] == 1


def test_methods_that_nobody_expects_share_one_label() -> None:
    metrics = Metrics(version="1")
    metrics.expect(["tools/call"])
    for number in range(1000):
        metrics.answered(f"made/up-{number}", -32601, 0.001)
    found = values(metrics)
    assert found['mcp_requests_total{method="other",status="error"}'] == 1000
    assert not any("made/up" in name for name in found)


def test_every_other_name_begins_with_slipway() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.answered("x", 0, 0.1)
    metrics.refused("host")
    names = {re.split(r"[{ ]", name)[0] for name in values(metrics)}
    fixed = {"mcp_requests_total", *(f"mcp_request_duration_seconds_{part}" for part in ("bucket", "count", "sum"))}
    assert fixed <= names
    assert all(name.startswith("slipway_") for name in names - fixed)
    assert values(metrics)['slipway_build_info{version="1.2.3"}'] == 1
    assert values(metrics)['slipway_refused_total{reason="host"}'] == 1


def test_two_servers_in_one_process_do_not_share_counts() -> None:
    one, two = Metrics(version="1"), Metrics(version="1")
    one.answered("x", 0, 0.1)
    assert 'mcp_requests_total{method="other",status="ok"}' not in values(two)


def test_the_format_is_named() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
