"""Where the gateway's packages come from: what it is told, how tokens reach it, and which ways are open."""

import json

import pulumi
import pytest

from infra.components.gateway import ExternalServer, Gateway, GatewayArgs, PackageRegistries, PackageRegistry
from infra.components.network import Network, NetworkArgs
from infra.edges import METADATA_SERVICE

CONTAINER = "spec.template.spec.containers.0"
NPM = PackageRegistry(url="https://npm.acme.example/", scopes=("@acme",), token="npm-hunter2")
PYPI = PackageRegistry(url="https://pypi.acme.example/simple", username="ci", token="pypi-hunter2")
BOTH = PackageRegistries(npm=(NPM,), pypi=(PYPI,))
OURS = ("MCP_PACKAGES_VERIFY", "MCP_PACKAGE_REGISTRIES", "MCP_POD_ENVIRONMENT_SECRET", "MCP_POD_PULL_SECRET")


def variables(stack) -> dict:
    given = stack.one("Deployment").at(f"{CONTAINER}.env")
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in given}


def registries(*urls: str) -> PackageRegistries:
    return PackageRegistries(npm=tuple(PackageRegistry(url=url, scopes=(f"@a{n}",)) for n, url in enumerate(urls)))


@pytest.fixture
def gateway(run):
    def made(**given):
        return run(lambda: Gateway("gateway", GatewayArgs(namespace="archon", image="slipway@sha256:1", **given)))

    return made


@pytest.fixture
def ways(gateway):
    """`ways("http://…")`: the edges to these registries as `{(source, target): ports}`."""

    def found(*urls):
        edges = gateway(registries=registries(*urls)).result.edges
        return {
            (edge.source.name, edge.target.name): [port.number for port in edge.ports]
            for edge in edges
            if edge.target.name.startswith("package-registr")
        }

    return found


def test_a_gateway_that_is_told_nothing_of_packages_has_no_variable_more(gateway):
    assert not {*OURS} & {*variables(gateway())}


@pytest.mark.parametrize("verify", ["warn", "require"])
def test_verification_is_a_variable_unless_it_is_off(gateway, verify):
    assert variables(gateway(verify=verify))["MCP_PACKAGES_VERIFY"] == verify
    assert "MCP_PACKAGES_VERIFY" not in variables(gateway(verify="off"))


def test_registries_are_told_with_the_variables_of_their_tokens(gateway):
    assert variables(gateway(registries=BOTH))["MCP_PACKAGE_REGISTRIES"] == (
        '{"npm":[{"scopes":["@acme"],"tokenVariable":"SLIPWAY_REGISTRY_TOKEN_NPM_1","url":"https://npm.acme.example/"}],'
        '"pypi":[{"tokenVariable":"SLIPWAY_REGISTRY_TOKEN_PYPI_1","url":"https://pypi.acme.example/simple",'
        '"username":"ci"}]}'
    )


def test_tokens_are_in_one_secret_and_nowhere_else(gateway):
    stack = gateway(registries=BOTH)
    secret = stack.one("Secret", "gateway-registries")
    assert secret.at("stringData") == {
        "SLIPWAY_REGISTRY_TOKEN_NPM_1": "npm-hunter2",
        "SLIPWAY_REGISTRY_TOKEN_PYPI_1": "pypi-hunter2",
    }
    assert [each.name for each in stack.registered if "hunter2" in str(each.inputs)] == [secret.name]


def test_the_gateway_reads_each_token_by_reference_and_names_the_secret_to_its_pods(gateway):
    stack = gateway(registries=BOTH)
    secret = stack.one("Secret", "gateway-registries")
    given = variables(stack)
    for variable in secret.at("stringData"):
        assert given[variable] == {"secretKeyRef": {"name": secret.object_name, "key": variable}}
    assert given["MCP_POD_ENVIRONMENT_SECRET"] == secret.object_name


def test_the_role_does_not_grow_by_the_tokens(gateway):
    assert not [rule for rule in gateway(registries=BOTH).one("Role").at("rules") if "secrets" in rule["resources"]]


def test_a_token_that_changes_rolls_the_gateway_by_the_secrets_generated_name(gateway):
    assert not gateway(registries=BOTH).one("Secret", "gateway-registries").has("metadata.name")


def test_registries_without_tokens_need_no_secret(gateway):
    stack = gateway(registries=registries("https://npm.acme.example/"))
    assert not stack.all("Secret")
    assert "MCP_POD_ENVIRONMENT_SECRET" not in variables(stack)
    assert json.loads(variables(stack)["MCP_PACKAGE_REGISTRIES"]) == {
        "npm": [{"url": "https://npm.acme.example/", "scopes": ["@a0"]}]
    }


def test_a_token_stays_secret_on_its_way(run):
    def made():
        token = pulumi.Output.secret("npm-hunter2")
        npm = (PackageRegistry(url="https://npm.acme.example/", token=token),)
        args = GatewayArgs(namespace="archon", image="slipway@sha256:1", registries=PackageRegistries(npm=npm))
        return Gateway("gateway", args)

    value = run(made).one("Secret", "gateway-registries").at("stringData.SLIPWAY_REGISTRY_TOKEN_NPM_1")
    assert (value, type(value).__name__) == ("npm-hunter2", "Secret")


def test_a_user_name_reads_like_no_reference_to_a_variable(gateway):
    robot = PackageRegistry(url="https://pypi.acme.example/", username="robot$(HOME)", token="x")
    text = variables(gateway(registries=PackageRegistries(pypi=(robot,))))["MCP_PACKAGE_REGISTRIES"]
    assert "$" not in text
    assert json.loads(text)["pypi"][0]["username"] == "robot$(HOME)"


def test_pods_of_servers_pull_with_the_stacks_pull_secret(gateway):
    assert variables(gateway(pull_secret="pull"))["MCP_POD_PULL_SECRET"] == "pull"


def test_a_registry_on_https_needs_no_way_of_its_own(ways):
    assert ways("https://npm.acme.example/", "https://pypi.acme.example:443/simple") == {}


def test_a_registry_off_https_is_open_to_the_gateway_and_to_pods_that_may_call_out(ways):
    ports = [4873, 8081]
    assert ways("https://npm.acme.example:8081/", "http://npm.acme.example:4873/") == {
        ("gateway", "package-registries"): ports,
        ("gateway-servers-internet", "package-registries"): ports,
    }


def test_a_registry_in_the_cluster_or_at_an_address_is_open_there_alone(ways):
    found = ways("http://verdaccio.tools.svc:4873/", "https://nexus.tools.svc.cluster.local/npm", "https://10.0.0.7/")
    assert found == {
        (source, target): ports
        for source in ("gateway", "gateway-servers-internet")
        for target, ports in (
            ("package-registries-in-tools", [443, 4873]),
            ("package-registry-at-10-0-0-7", [443]),
        )
    }


def test_a_registry_on_port_80_does_not_open_the_metadata_service(gateway):
    edges = gateway(registries=registries("http://npm.acme.example/")).result.edges
    assert [edge.target.excluded for edge in edges if edge.target.name == "package-registries"] == [
        (METADATA_SERVICE,),
        (METADATA_SERVICE,),
    ]


def test_the_ways_to_registries_and_to_remote_servers_stand_beside_one_another(run):
    def made():
        given = GatewayArgs(
            namespace="archon",
            image="slipway@sha256:1",
            servers={"far": ExternalServer(type="remote", url="http://mcp.example.org:8443/mcp")},
            registries=registries("http://npm.acme.example:8443/", "http://npm.tools.svc/", "http://10.0.0.7/"),
        )
        Network("network", NetworkArgs(namespace="archon", edges=Gateway("gateway", given).edges))

    policy = run(made).one("NetworkPolicy", "network-gateway-servers-internet-to-package-registries-in-tools-out")
    assert policy.at("spec.egress.0") == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }
