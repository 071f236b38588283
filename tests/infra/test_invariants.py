"""What holds in every stack that ships, whatever its configuration."""

import json

import pytest

from infra.policy.rules import RULES

DIGEST = "registry.acme.io/acme/slipway@sha256:" + "ab" * 32


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_stack_keeps_every_rule(stack_name, evaluated, views, rule):
    violations = rule.violations(views(evaluated(stack_name)))
    assert [violation.message for violation in violations] == []


def test_no_secret_value_leaves_the_secret_objects(stack_name, evaluated):
    """What the engine would encrypt is in Secrets, in generated passwords, or nowhere."""
    keepers = {"Secret", "RandomPassword", "RandomBytes", "Provider"}
    leaks = [
        resource.name
        for resource in evaluated(stack_name).registered
        if resource.custom and resource.kind not in keepers and has_secret(resource.inputs)
    ]
    assert leaks == []


def has_secret(value) -> bool:
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return type(value).__name__ == "Secret"


@pytest.fixture
def registries_stack(run):
    """A stack whose gateway takes packages and images from private registries."""
    from infra.config import StackConfig
    from infra.platform import Platform, PlatformArgs

    values = {
        "environment": "dev",
        "image": {"strategy": "published", "ref": DIGEST, "pullSecret": "pull"},
        "gateway": {
            "enabled": True,
            "verify": "warn",
            "registries": {
                "npm": [{"url": "http://npm.tools.svc:4873", "scopes": ["@acme"], "tokenSecret": "npmToken"}],
                "pypi": [{"url": "http://pypi.acme.io", "username": "ci@acme.io", "tokenSecret": "pypiToken"}],
            },
        },
        "secrets": {"npmToken": {"secure": "x"}, "pypiToken": {"secure": "x"}},
    }
    return run(lambda: Platform("slipway", PlatformArgs.from_config(StackConfig.parse(values), image=DIGEST)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_stack_with_private_registries_keeps_every_rule(registries_stack, views, rule):
    assert [violation.message for violation in rule.violations(views(registries_stack))] == []


def test_the_tokens_of_registries_come_from_the_stacks_secrets_and_stay_secret(registries_stack):
    tokens = registries_stack.one("Secret", "gateway-registries").at("stringData")
    assert tokens == {"SLIPWAY_REGISTRY_TOKEN_NPM_1": "[npmToken]", "SLIPWAY_REGISTRY_TOKEN_PYPI_1": "[pypiToken]"}
    assert has_secret(tokens)
    holders = [each.name for each in registries_stack.registered if each.custom and "[npmToken]" in str(each.inputs)]
    assert holders == ["gateway-registries"]


def test_a_gateway_is_told_what_its_stack_says_of_packages(registries_stack):
    [container] = registries_stack.one("Deployment", "gateway-deployment").at("spec.template.spec.containers")
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given["MCP_PACKAGES_VERIFY"] == "warn"
    assert given["MCP_POD_PULL_SECRET"] == "pull"
    assert json.loads(given["MCP_PACKAGE_REGISTRIES"]) == {
        "npm": [
            {
                "url": "http://npm.tools.svc:4873",
                "scopes": ["@acme"],
                "tokenVariable": "SLIPWAY_REGISTRY_TOKEN_NPM_1",
            }
        ],
        "pypi": [
            {"url": "http://pypi.acme.io", "username": "ci@acme.io", "tokenVariable": "SLIPWAY_REGISTRY_TOKEN_PYPI_1"}
        ],
    }


def test_ways_to_registries_are_open_to_the_gateway_and_to_servers_that_may_call_out(registries_stack):
    policies = {each.object_name: each for each in registries_stack.all("NetworkPolicy")}
    for source in ("gateway", "gateway-servers-internet"):
        [own] = policies[f"{source}-to-package-registries-in-tools-out"].at("spec.egress")
        assert own["ports"] == [{"port": 4873, "protocol": "TCP"}]
        [rule] = policies[f"{source}-to-package-registries-out"].at("spec.egress")
        assert rule["ports"] == [{"port": 80, "protocol": "TCP"}]
        assert rule["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]
