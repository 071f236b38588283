"""What helm makes of the charts is what Kubernetes knows, nothing unknown in it."""

import subprocess

import pytest
from chart_cases import CASES, NAMESPACE
from harness.build import Tool, build

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def kubeconform(schemas):
    build(["kubeconform"])
    program = Tool("kubeconform").binary("kubeconform")
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"

    def check(text):
        command = [program, "-strict", "-summary", "-schema-location", location]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)

    return check


@pytest.mark.parametrize("chart", ["slipway-agent", "slipway-registry"])
def test_a_chart_is_strictly_clean(helm, chart):
    done = helm.run("lint", "--strict", "--quiet", f"charts/{chart}", "--kube-version", "1.34")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", CASES)
def test_a_release_has_only_fields_that_kubernetes_knows(helm, kubeconform, case):
    release = CASES[case]
    done = kubeconform(helm.render(release.chart, release.release, NAMESPACE, release.values))
    assert done.returncode == 0, done.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


def test_the_check_finds_a_misspelt_field(helm, kubeconform):
    release = CASES["agent-least"]
    text = helm.render(release.chart, release.release, NAMESPACE, release.values)
    done = kubeconform(text.replace("maxUnavailable: 1\n", "maxUnavailabel: 1\n"))
    assert done.returncode != 0
    assert "maxUnavailabel" in done.stdout
