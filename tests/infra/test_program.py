"""The program that Pulumi runs, whole: from configuration keys to stack outputs."""

import json
import runpy
import sys

import pytest

from infra.config import ConfigError

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def program(run, repository):
    """`program({...})` runs `infra/` as Pulumi does, with these `slipway:` keys."""

    def evaluate(values):
        config = {
            f"slipway:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
        }
        before = list(sys.path)
        try:
            return run(lambda: runpy.run_path(str(repository / "infra"), run_name="__main__"), config=config)
        finally:
            sys.path[:] = before

    return evaluate


def test_a_stack_tells_where_it_is_and_what_it_runs(program, repository):
    outputs = program(
        {
            "environment": "dev",
            "image": {"strategy": "published", "ref": f"registry.acme.io/slipway@{DIGEST}"},
            "servers": {"web": {"nodePort": 30800}},
            "exposure": {"profile": "nginx", "host": "mcp.acme.io"},
        }
    ).exports
    assert outputs["namespace"] == "slipway"
    assert outputs["imageDigest"] == DIGEST
    assert outputs["urls"]["web"] == {
        "http": "http://mcp.acme.io/mcp",
        "websocket": "ws://mcp.acme.io/mcp",
        "sse": "http://mcp.acme.io/sse",
    }
    assert outputs["servers"] == {"web": "http://web.slipway.svc.cluster.local/mcp"}
    assert outputs["readme"] == (repository / "Pulumi.README.md").read_text(encoding="utf-8")


def test_a_stack_with_a_gateway_and_a_mesh_tells_their_addresses(program):
    outputs = program(
        {
            "environment": "dev",
            "image": {"strategy": "published", "ref": f"registry.acme.io/slipway@{DIGEST}"},
            "gateway": {"enabled": True},
            "mesh": {"enabled": True},
        }
    ).exports
    assert outputs["gateway"].startswith("http://gateway.slipway.svc")
    assert outputs["registry"].startswith("http://registry.slipway.svc")


def test_a_wrong_key_ends_the_program_before_anything_is_registered(program):
    with pytest.raises(ConfigError, match="did you mean 'servers'"):
        program({"environment": "dev", "serverz": {}})


def test_pulumi_may_put_the_folder_of_the_program_first_on_the_path(program):
    values = {
        "environment": "dev",
        "image": {"strategy": "published", "ref": f"slipway@{DIGEST}"},
        "servers": {"web": {}},
    }
    program(values)
    import platform

    assert hasattr(platform, "python_version")


def test_only_pods_that_fetch_pages_may_call_other_web_ports_than_443(program):
    stack = program(
        {
            "environment": "dev",
            "image": {"strategy": "published", "ref": f"registry.acme.io/slipway@{DIGEST}"},
            "servers": {"reader": {"toolsets": ["search"]}, "writer": {"toolsets": ["war"]}},
        }
    )
    ports = {
        policy.object_name: [port["port"] for port in policy.at("spec.egress.0.ports")]
        for policy in stack.all("NetworkPolicy")
        if policy.object_name.endswith("-to-internet-out")
    }
    assert ports == {"reader-to-internet-out": [443, 80, 8080, 8443], "writer-to-internet-out": [443]}


def test_the_definition_of_agents_is_deleted_before_the_operator_that_ends_them(evaluated):
    stack = evaluated("mesh")
    [operator] = [each for each in stack.all("Deployment") if each.object_name == "operator"]
    assert operator.urn in stack.one("CustomResourceDefinition").depends_on
