"""The policy pack, spoken to as the Pulumi engine speaks to it."""

import subprocess
import sys

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from infra.policy.rules import RULES


@pytest.fixture(scope="module")
def pack(repository):
    """A stub that speaks to the running pack."""
    command = [sys.executable, "infra/policy"]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE) as process:
        try:
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


@pytest.fixture
def judged(pack):
    """What the pack says of a stack: each resource by its inputs first, then all of them by their outputs."""

    def judge(views, *, outputs=lambda view: view.props):
        for view in views:
            pack.Analyze(
                analyzer_pb2.AnalyzeRequest(
                    type=view.type,
                    urn=view.urn,
                    name=view.name,
                    properties=struct(view.props),
                    options=options(view),
                )
            )
        resources = [
            analyzer_pb2.AnalyzerResource(
                type=view.type, urn=view.urn, name=view.name, properties=struct(outputs(view)), options=options(view)
            )
            for view in views
        ]
        return pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources)).diagnostics

    return judge


def struct(props):
    message = struct_pb2.Struct()
    message.update(props)
    return message


def options(view):
    return analyzer_pb2.AnalyzerResourceOptions(protect=view.protected)


def test_the_pack_offers_every_rule_and_each_is_mandatory(pack):
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    offered = {policy.name: policy.enforcementLevel for policy in info.policies if policy.name != "note-inputs"}
    assert offered == {rule.name: analyzer_pb2.MANDATORY for rule in RULES}


def test_the_pack_says_nothing_about_a_good_stack(judged, kept):
    assert [diagnostic.message for diagnostic in judged(kept())] == []


def test_the_pack_names_the_rule_the_resource_and_the_remedy(judged, broken):
    resources = broken("Deployment", "spec.template.spec.containers.0.image", "slipway:latest")
    [diagnostic] = judged(resources)
    assert diagnostic.policyName == "images-are-pinned"
    assert diagnostic.urn.endswith("::war-deployment")
    assert diagnostic.message.endswith(
        "Deployment war: container server: runs slipway:latest, which may change: name it by digest, @sha256:…"
    )


def test_the_pack_judges_what_the_program_says_not_what_the_cluster_filled_in(judged, kept):
    def filled_in(view):
        if view.kind != "Deployment":
            return view.props
        return {**view.props, "spec": {**view.props["spec"], "replicas": 4}}

    assert [diagnostic.message for diagnostic in judged(kept(), outputs=filled_in)] == []


def test_the_pack_still_judges_what_a_preview_knows(judged, broken):
    resources = broken("Deployment", "spec.template.spec.containers.0.image", UNKNOWN_STRING_VALUE)
    assert [diagnostic.message for diagnostic in judged(resources)] == []
    without_policy = [view for view in resources if view.name != "network-default-deny"]
    assert [diagnostic.policyName for diagnostic in judged(without_policy)] == ["edges-and-policies-agree"]


def test_an_unprotected_store_is_seen_by_its_options(judged, kept, view):
    diagnostics = judged([*kept(), view("apps/v1:StatefulSet", "store", protected=True)])
    assert "stateful-kinds-are-protected" not in {diagnostic.policyName for diagnostic in diagnostics}
    diagnostics = judged([*kept(), view("apps/v1:StatefulSet", "store")])
    assert "stateful-kinds-are-protected" in {diagnostic.policyName for diagnostic in diagnostics}


def test_the_project_file_names_the_runtime(repository):
    project = yaml.safe_load((repository / "infra" / "policy" / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert project["runtime"]["name"] == "python"
    virtualenv = repository / "infra" / "policy" / project["runtime"]["options"]["virtualenv"]
    assert virtualenv.resolve() == (repository / ".venv").resolve()
