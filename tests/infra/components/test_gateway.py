"""The gateway: what it declares, what it may do, and what the seeds' names mean to it."""

import pytest
import yaml

from infra.components.gateway import ExternalServer, Gateway, GatewayArgs, GatewaySecurity
from infra.edges import Addresses
from infra.pods import Resources, SecretKey

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
SEED = {
    "braveSearch": ExternalServer(secret_environment={"BRAVE_API_KEY": "hunter2"}),
    "filesystem": ExternalServer(allowed_paths=("/tmp", "/var/cache")),
}


def variables(resource) -> dict:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in resource.at(f"{CONTAINER}.env")}


@pytest.fixture
def gateway(run):
    def made(**given):
        return run(lambda: Gateway("gateway", GatewayArgs(namespace="archon", image="slipway@sha256:1", **given)))

    return made


def declared(stack) -> dict:
    return yaml.safe_load(stack.one("ConfigMap").at("data")["gateway.yaml"])


def rules(stack) -> list[dict]:
    return stack.one("Role").at("rules")


def test_it_runs_its_role_on_its_own_port(gateway):
    deployment = gateway().one("Deployment")
    assert deployment.at(f"{CONTAINER}.command") == ["slipway", "gateway", "--config", "/etc/slipway/gateway.yaml"]
    assert deployment.at(f"{CONTAINER}.ports") == [{"name": "http", "containerPort": 8051, "protocol": "TCP"}]
    assert variables(deployment)["MCP_PORT"] == "8051"


def test_the_environment_has_the_names_of_the_seed(gateway):
    given = variables(
        gateway(
            archon_image="archon-mcp:1",
            server_resources=Resources(cpu_limit="250m", memory_limit="128Mi"),
            security=GatewaySecurity(allow_npx=True, allow_uv=False, allow_custom_images=True),
        ).one("Deployment")
    )
    assert given["KUBERNETES_NAMESPACE"] == "archon"
    assert given["ARCHON_MCP_IMAGE"] == "archon-mcp:1"
    assert (given["MCP_SERVER_CPU_LIMIT"], given["MCP_SERVER_MEMORY_LIMIT"]) == ("250m", "128Mi")
    assert (given["MCP_ALLOW_NPX"], given["MCP_ALLOW_UV"], given["MCP_ALLOW_CUSTOM_IMAGES"]) == (
        "true",
        "false",
        "true",
    )


def test_the_declaration_keeps_the_meaning_of_the_seeds_values(gateway):
    found = declared(gateway(servers=SEED, allow=("@modelcontextprotocol/*",), block=("evil@<2",)))
    assert found["servers"]["filesystem"] == {"enabled": True, "allowedPaths": ["/tmp", "/var/cache"]}
    assert found["security"] == {
        "allowNpx": True,
        "allowUv": True,
        "allowCustomImages": False,
        "internetAccess": True,
    }
    assert found["pods"]["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}
    assert found["packages"] == {"allow": ["@modelcontextprotocol/*"], "block": ["evil@<2"]}


def test_a_servers_secret_is_named_in_the_declaration_and_only_named(gateway):
    stack = gateway(servers=SEED)
    secret = stack.one("Secret", "gateway-server-brave-search")
    assert secret.at("stringData.BRAVE_API_KEY") == "hunter2"
    reference = {"secret": secret.object_name, "key": "BRAVE_API_KEY"}
    assert declared(stack)["servers"]["braveSearch"]["secretEnvironment"] == {"BRAVE_API_KEY": reference}
    assert [each.name for each in stack.registered if "hunter2" in str(each.inputs)] == [secret.name]


def test_a_server_that_is_off_gets_no_secret(gateway):
    off = ExternalServer(enabled=False, secret_environment={"KEY": "hunter2"})
    stack = gateway(servers={"off": off})
    assert not stack.all("Secret")
    assert declared(stack)["servers"]["off"] == {"enabled": False}


def test_it_reads_the_secrets_of_its_servers_by_name_and_no_other(gateway):
    stack = gateway(servers=SEED)
    [rule] = [rule for rule in rules(stack) if "secrets" in rule["resources"]]
    assert rule["verbs"] == ["get"]
    assert rule["resourceNames"] == [stack.one("Secret", "gateway-server-brave-search").object_name]
    assert not [rule for rule in rules(gateway()) if "secrets" in rule["resources"]]


def test_its_role_is_of_one_namespace_and_has_no_wildcard(gateway):
    stack = gateway(servers=SEED)
    assert not stack.all("ClusterRole")
    assert stack.one("RoleBinding").at("subjects.0.name") == "gateway"
    for rule in rules(stack):
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
    verbs = {resource: set(rule["verbs"]) for rule in rules(stack) for resource in rule["resources"]}
    assert verbs["pods"] == {"create", "get", "list", "watch", "patch", "delete"}
    assert verbs["pods/exec"] == {"create", "get"}
    assert verbs["pods/log"] == {"get"}
    assert verbs["networkpolicies"] == {"create", "get", "list", "patch", "delete"}
    assert verbs["deployments"] == {"get"}


def test_only_the_gateway_itself_mounts_a_token(gateway):
    stack = gateway()
    assert stack.one("ServiceAccount").at("automountServiceAccountToken") is False
    assert stack.one("Deployment").at(f"{POD}.automountServiceAccountToken") is True
    assert stack.one("Deployment").at(f"{POD}.serviceAccountName") == "gateway"


def test_started_pods_carry_labels_that_the_network_knows_them_by(gateway):
    stack = gateway()
    labels = declared(stack)["pods"]["labels"]
    assert stack.result.server_pods.selector.items() <= labels.items()
    assert stack.result.internet_pods.selector.items() <= labels.items()
    offline = gateway(security=GatewaySecurity(internet_access=False))
    labels = declared(offline)["pods"]["labels"]
    assert offline.result.server_pods.selector.items() <= labels.items()
    assert not offline.result.internet_pods.selector.items() <= labels.items()
    assert not stack.result.selector.items() <= labels.items()


def test_edges_lead_to_the_bridge_to_declared_ports_and_to_remote_servers_off_https(gateway):
    stack = gateway(
        servers={
            "own": ExternalServer(type="image", image="x", transport="sse", port=9000),
            "off": ExternalServer(enabled=False, port=9999),
            "far": ExternalServer(type="remote", url="http://mcp.example.org:8443/mcp"),
            "near": ExternalServer(type="remote", url="https://mcp.example.org/mcp"),
        }
    )
    servers, remote = stack.result.edges
    assert [port.number for port in servers.ports] == [8000, 9000]
    assert isinstance(remote.target, Addresses)
    assert [port.number for port in remote.ports] == [8443]


def test_stores_and_tokens_come_by_reference(gateway):
    key = SecretKey(secret="stores", key="REDIS_URL")
    given = variables(gateway(redis_url=key, bearer_tokens=SecretKey(secret="app", key="tokens")).one("Deployment"))
    assert given["REDIS_URL"] == {"secretKeyRef": {"key": "REDIS_URL", "name": "stores"}}
    assert given["MCP_AUTH_TOKENS"] == {"secretKeyRef": {"key": "tokens", "name": "app"}}
    assert "MONGODB_URI" not in given


def test_a_variable_that_the_gateway_decides_is_refused(gateway):
    with pytest.raises(ValueError, match="gateway gateway: environment sets MCP_PORT, which is derived: remove it"):
        gateway(environment={"MCP_PORT": "1"})


def test_a_changed_declaration_makes_another_config_map(gateway):
    stack = gateway()
    assert not stack.one("ConfigMap").has("metadata.name")
    volume = next(each for each in stack.one("Deployment").at(f"{POD}.volumes") if each["name"] == "config")
    assert volume["configMap"]["name"] == stack.one("ConfigMap").object_name


def test_the_grace_period_covers_drain_and_budget(gateway):
    deployment = gateway(drain_seconds=20, request_budget_seconds=60).one("Deployment")
    assert deployment.at(f"{POD}.terminationGracePeriodSeconds") > 80


def test_its_endpoint_is_its_service(gateway):
    stack = gateway()
    assert stack.outputs(stack.one("Gateway")) == {
        "service_name": "gateway",
        "endpoint": "http://gateway.archon.svc.cluster.local/mcp",
        "port": 8051,
    }
