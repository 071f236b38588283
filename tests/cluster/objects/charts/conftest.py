"""Helm, kubeconform and kustomize as people use them, on the API server of the tests."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine.api_server import ApiServer
from engine.lifecycle import wait_for
from engine.plugins.kube.client import ApiError, Cluster, UnknownKind
from harness.build import Tool, build
from harness.places import REPOSITORY
from usage.recording import harness

# What the charts' own tests compare them by.
sys.path.insert(0, str(REPOSITORY / "tests/charts/support"))

CHARTS = REPOSITORY / "charts"
KUBERNETES = "1.34.4"


@dataclass(frozen=True)
class Helm:
    """The real helm, with folders of its own."""

    program: Path
    folder: Path
    kubeconfig: Path

    def run(self, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        given = list(arguments)
        if values is not None:
            file = self.folder / f"values-{uuid.uuid4().hex[:8]}.yaml"
            file.write_text(yaml.safe_dump(values), encoding="utf-8")
            given += ["--values", str(file)]
        homes = {f"HELM_{name}_HOME": str(self.folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
        environment = {**os.environ, **homes, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            [self.program, *given], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=120
        )

    def succeed(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """What it said; fails with why it did not do what it was asked."""
        done = self.run(*arguments, values=values)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def render(self, chart: str, release: str, namespace: str, values: dict[str, Any]) -> str:
        """Every manifest of a release, that of its test too."""
        where = ("--namespace", namespace, "--kube-version", KUBERNETES)
        return self.succeed("template", release, str(CHARTS / chart), *where, values=values)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory, api_server: ApiServer) -> Helm:
    build(["helm"])
    return Helm(Tool("helm").binary("helm"), tmp_path_factory.mktemp("helm"), api_server.kubeconfig)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that admits restricted pods only, and goes with its test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
    cluster.apply(made, "slipway-tests")
    yield name
    cluster.delete(made, "Background")


@pytest.fixture(scope="session")
def manifests_of() -> Callable[[str], list[dict[str, Any]]]:
    """The objects of a text of many documents."""
    return lambda text: [found for found in yaml.safe_load_all(text) if found]


@pytest.fixture(scope="session")
def schemas(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the API server itself publishes about its kinds, as kubeconform reads it: a file a kind, nothing unknown."""
    folder = tmp_path_factory.mktemp("schemas")
    definitions = _strict(cluster.request("GET", "/openapi/v2")["definitions"])
    # One file has them all; every reference in it is to itself.
    (folder / "all.json").write_text(json.dumps({"definitions": definitions}), encoding="utf-8")
    for name, definition in definitions.items():
        for served in definition.get("x-kubernetes-group-version-kind", ()):
            group = served["group"].split(".")[0]
            file = "-".join(part for part in (served["kind"].lower(), group, served["version"]) if part)
            (folder / f"{file}.json").write_text(
                json.dumps({"$ref": f"all.json#/definitions/{name}"}), encoding="utf-8"
            )
    return folder


def _strict(schema: Any) -> Any:
    """A published schema with nothing unknown allowed, and with both types where a field is a number or a text."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    closed = "properties" in schema and isinstance(schema["properties"], dict) and schema.get("type") == "object"
    return {
        **({"additionalProperties": False} if closed else {}),
        **{key: _strict(each) for key, each in schema.items()},
    }


@pytest.fixture(scope="session")
def kustomize(helm: Helm) -> Callable[..., str]:
    """The real kustomize, on a folder of the repository; helm is at hand where `--enable-helm` is given."""
    build(["kustomize"])
    program = Tool("kustomize").binary("kustomize")

    def make(folder: str, *options: str) -> str:
        command = [program, "build", folder, *options, *(["--helm-command", str(helm.program)] if options else [])]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"kustomize build {folder}: {done.stderr.strip()}"
        return done.stdout

    return make


@pytest.fixture(scope="session")
def defined(cluster: Cluster) -> Callable[[str], None]:
    """Adds the real definitions of another project's kinds, from its own module, and waits until they are served."""
    added: set[str] = set()

    def add(tool: str) -> None:
        if tool in added:
            return
        build([tool])
        folder = Tool(tool).folder / "bin"
        found = [each for file in sorted(folder.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text("utf-8"))]
        apply_definitions(cluster, [each for each in found if each])
        added.add(tool)

    return add


@pytest.fixture(scope="session")
def agents_defined(cluster: Cluster) -> None:
    """The definition that the operator's chart brings."""
    files = sorted((CHARTS / "slipway-operator/crds").glob("*.yaml"))
    apply_definitions(cluster, [yaml.safe_load(file.read_text("utf-8")) for file in files])


def apply_definitions(cluster: Cluster, definitions: list[dict[str, Any]]) -> None:
    """Made, not applied: to merge a megabyte of schema takes the API server a minute."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in definitions:
        if (
            cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, definition["metadata"]["name"])
            is None
        ):
            cluster.request("POST", path, json=_undescribed(definition))
    for definition in definitions:
        spec = definition["spec"]
        version = f"{spec['group']}/{next(each['name'] for each in spec['versions'] if each['served'])}"

        def served(version: str = version, kind: str = spec["names"]["kind"]) -> bool:
            """That it is established is said before it is so everywhere."""
            try:
                cluster.request("GET", cluster.place(version, kind).path("default"))
            except (ApiError, UnknownKind):
                return False
            return True

        wait_for(served, f"{definition['metadata']['name']} is served", lambda: "", seconds=120)


def _undescribed(schema: Any) -> Any:
    """Without the texts that say what fields mean, which are most of it."""
    if isinstance(schema, list):
        return [_undescribed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _undescribed(each) for key, each in schema.items() if key != "description" or not isinstance(each, str)
    }


@pytest.fixture(scope="session")
def platform() -> Any:
    """The recording harness of the platform's own tests."""
    return harness()
