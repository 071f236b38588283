"""Where objects are in the API, and what a volume for a claim is."""

from pathlib import Path

import pytest
import yaml
from harness import build
from harness.api import Api, path_of
from harness.build import ALL, Tool
from harness.volumes import volume_for


@pytest.mark.parametrize(
    ("version", "kind", "path"),
    [
        ("v1", "Pod", "/api/v1/namespaces/a/pods/x"),
        ("v1", "Namespace", "/api/v1/namespaces/x"),
        ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/a/deployments/x"),
        ("networking.k8s.io/v1", "Ingress", "/apis/networking.k8s.io/v1/namespaces/a/ingresses/x"),
        ("networking.k8s.io/v1", "IngressClass", "/apis/networking.k8s.io/v1/ingressclasses/x"),
        ("networking.k8s.io/v1", "NetworkPolicy", "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/x"),
    ],
)
def test_an_objects_path_follows_from_its_kind(version: str, kind: str, path: str) -> None:
    assert path_of({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "a"}}) == path


def test_a_kubeconfig_without_anything_to_log_in_with_is_refused(tmp_path: Path) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "other", "cluster": {}}, {"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {}}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match="neither a token nor a certificate"):
        Api(tmp_path / "kubeconfig")


def test_a_volume_is_as_large_as_its_claim_asks_and_kept_for_it(tmp_path: Path) -> None:
    claim = {
        "metadata": {"name": "data", "namespace": "a", "uid": "1"},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]},
    }
    spec = volume_for(claim, tmp_path)["spec"]
    assert spec["capacity"] == {"storage": "1Gi"}
    assert spec["local"] == {"path": str(tmp_path / "volume-1")}
    assert spec["claimRef"]["uid"] == "1"


@pytest.mark.parametrize("name", ALL)
def test_every_tool_says_its_version(name: str) -> None:
    path, version = Tool(name).module
    assert path.count("/") >= 1
    assert version.startswith("v")


def test_a_tool_is_built_again_when_what_it_is_made_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "it").mkdir()
    text = "module test/it\n\ntool example.com/it/cmd\n\nrequire (\n\texample.com/it v1.2.3 // indirect\n)\n"
    (tmp_path / "it" / "go.mod").write_text(text)
    monkeypatch.setattr(build, "TOOLCHAIN", tmp_path)
    before = Tool("it").folder
    assert before.name.startswith("it-v1.2.3-")
    (tmp_path / "it" / "go.sum").write_text("other")
    assert Tool("it").folder != before
