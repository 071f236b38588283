"""What is said before `pulumi up`: tools, stack file, cluster, each with its remedy."""

import json
import subprocess

import pytest
from rich.console import Console

from infra import preflight
from infra.config import StackConfig

SMALL = "config:\n  slipway:environment: dev\n  slipway:servers: {web: {}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with one stack file; every tool is on PATH unless the test says otherwise."""
    monkeypatch.setattr(preflight, "PROJECT", tmp_path)
    monkeypatch.setattr(preflight.shutil, "which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "Pulumi.dev.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path


def cluster_with(*names: str):
    """A kubectl that answers, and finds only these resources."""

    def run(command):
        if command[1] == "version":
            return subprocess.CompletedProcess(command, 0, json.dumps({"serverVersion": {"gitVersion": "v1.34.4"}}), "")
        found = command[3] in names
        return subprocess.CompletedProcess(
            command, 0 if found else 1, f"{command[2]}/{command[3]}" if found else "", ""
        )

    return run


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_a_good_stack_and_cluster_have_nothing_to_mend(project):
    findings = preflight.examine("dev", "up", cluster_with())
    assert [finding for finding in findings if not finding.fine] == []
    assert by_subject(findings)["cluster"].detail == "v1.34.4"


def test_a_preview_asks_nothing_of_the_cluster(project):
    def run(command):
        raise AssertionError(f"asked {command}")

    assert "cluster" not in by_subject(preflight.examine("dev", "preview", run))


def test_a_stack_that_does_not_exist_is_answered_with_those_that_do(project):
    finding = by_subject(preflight.examine("prd", "up", cluster_with()))["Pulumi.prd.yaml"]
    assert not finding.fine
    assert "the stacks here are dev" in finding.detail


@pytest.mark.parametrize(("text", "said"), [("config: [", "is not YAML"), ("a: 1\n", "has no `config:`")])
def test_a_file_that_is_no_stack_file_is_told_apart(project, text, said):
    (project / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    assert said in by_subject(preflight.examine("dev", "up", cluster_with()))["Pulumi.dev.yaml"].detail


def test_every_problem_of_the_stack_file_is_listed(project):
    (project / "Pulumi.dev.yaml").write_text(
        SMALL + "  slipway:tsl: {}\n  slipway:redis: {mode: x}\n", encoding="utf-8"
    )
    detail = by_subject(preflight.examine("dev", "up", cluster_with()))["Pulumi.dev.yaml"].detail
    assert "did you mean 'tls'?" in detail
    assert "redis.mode" in detail


def test_a_missing_tool_is_fatal_and_says_how_to_get_it(project, monkeypatch):
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None)
    finding = by_subject(preflight.examine("dev", "up", cluster_with()))["pulumi"]
    assert (finding.fine, finding.fatal) == (False, True)
    assert finding.remedy.startswith("install pulumi:")


def test_a_cluster_that_does_not_answer_says_why(project):
    def run(command):
        return subprocess.CompletedProcess(command, 1, "", "dial tcp: connection refused\n")

    finding = by_subject(preflight.examine("dev", "up", run))["cluster"]
    assert (finding.fine, finding.detail) == (False, "dial tcp: connection refused")


def test_a_tool_that_is_absent_counts_as_failed():
    done = preflight.run_command(["no-such-program-at-all"])
    assert (done.returncode, done.stderr) == (127, "no-such-program-at-all is not installed")


@pytest.mark.parametrize(
    ("values", "subject", "found_by"),
    [
        (
            {"exposure": {"profile": "nginx", "host": "a.acme.io"}, "tls": {"mode": "selfSigned"}},
            "cert-manager",
            "certificates.cert-manager.io",
        ),
        ({"exposure": {"profile": "traefik", "host": "a.acme.io"}}, "ingress class", "traefik"),
        ({"servers": {"web": {"autoscaling": {}}}}, "metrics", "v1beta1.metrics.k8s.io"),
        ({"observability": {"rules": True}}, "service monitors", "servicemonitors.monitoring.coreos.com"),
        ({"serviceMesh": {"kind": "linkerd"}}, "service mesh", "serviceprofiles.linkerd.io"),
    ],
)
def test_what_a_stack_expects_of_the_cluster_is_looked_for(values, subject, found_by):
    config = StackConfig.parse({"environment": "dev", "servers": {"web": {}}} | values)
    assert by_subject(preflight.cluster(config, cluster_with(found_by)))[subject].fine
    missing = by_subject(preflight.cluster(config, cluster_with()))[subject]
    assert not missing.fine
    assert missing.remedy


def test_a_missing_metrics_server_warns_and_does_not_stop(project):
    finding = preflight.Finding(subject="metrics", fine=False, detail="not found", remedy="install it", fatal=False)
    console = Console(record=True, width=100)
    assert preflight.report([finding], console)
    assert "→ install it" in console.export_text()
