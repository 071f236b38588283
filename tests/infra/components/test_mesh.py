"""The mesh: a registry of three, agents that say what they can do, their resource and the operator's rights."""

import re

import pytest
import yaml

from infra.components.autoscaling import Scaling
from infra.components.mesh import (
    Agent,
    AgentArgs,
    AgentDefinition,
    Capability,
    Operator,
    OperatorArgs,
    Registry,
    RegistryArgs,
)
from infra.edges import Pods
from infra.pods import SecretKey
from infra.storage import Storage

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
WHERE = {"namespace": "mesh", "image": "slipway@sha256:1"}
GREETING = Capability(name="greeting", version="1.0.0", timeout=30)


def variables(resource) -> dict:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in resource.at(f"{CONTAINER}.env")}


@pytest.fixture
def registry(run):
    return lambda **given: run(lambda: Registry("mcp-registry", RegistryArgs(**WHERE, **given)))


@pytest.fixture
def agent(run):
    return lambda **given: run(lambda: Agent("hello", AgentArgs(**WHERE, registry_url="http://registry", **given)))


@pytest.fixture
def operator(run):
    return lambda **given: run(
        lambda: Operator("operator", OperatorArgs(**WHERE, registry_url="http://registry", **given))
    )


@pytest.fixture
def definition(run):
    return run(lambda: AgentDefinition("mcpagents")).one("CustomResourceDefinition")


class TestRegistry:
    def test_three_replicas_have_a_volume_and_a_name_each(self, registry):
        workload = registry().one("StatefulSet")
        assert workload.object_name == "mcp-registry"
        assert workload.at("spec.replicas") == 3
        assert workload.at("spec.serviceName") == "mcp-registry-headless"
        assert variables(workload)["REGISTRY_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        assert workload.at("spec.volumeClaimTemplates.0.spec.resources.requests.storage") == "1Gi"
        mount = next(each for each in workload.at(f"{CONTAINER}.volumeMounts") if each["name"] == "data")
        assert workload.at(f"{CONTAINER}.command") == ["slipway", "registry", "--data", mount["mountPath"]]

    def test_any_replica_answers_for_all(self, registry):
        stack = registry()
        service = stack.one("Service", "mcp-registry-service")
        assert service.at("spec.sessionAffinity") == "None"
        assert service.at("spec.selector") == stack.one("StatefulSet").at("spec.selector.matchLabels")
        assert stack.outputs(stack.one("Registry"))["url"] == "http://mcp-registry.mesh.svc.cluster.local"

    def test_agents_outside_get_a_port_on_the_nodes_only_where_asked(self, registry):
        assert registry(node_port=30900).one("Service", "mcp-registry-nodeport").at("spec.ports.0.nodePort") == 30900
        assert len(registry().all("Service")) == 2

    def test_replicas_share_what_redis_holds(self, registry):
        key = SecretKey(secret="redis-url", key="REDIS_URL")
        assert variables(registry(redis_url=key).one("StatefulSet"))["REDIS_URL"]["secretKeyRef"]["name"] == "redis-url"
        assert "REDIS_URL" not in variables(registry().one("StatefulSet"))

    def test_drains_leave_two_of_three(self, registry):
        assert registry().one("PodDisruptionBudget").at("spec.maxUnavailable") == 1

    def test_volumes_are_protected_where_asked(self, registry):
        kept = registry(protect=True, storage=Storage(size="2Gi")).one("StatefulSet")
        assert kept.protect
        assert kept.at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Retain"
        assert kept.at("spec.volumeClaimTemplates.0.spec.resources.requests.storage") == "2Gi"

    def test_replicas_reach_each_other_and_clients_reach_them(self, registry):
        made = registry().result
        assert [edge.name for edge in made.edges] == ["mcp-registry-to-mcp-registry"]
        assert [edge.name for edge in made.edges_from(Pods(name="hello", selector={}))] == ["hello-to-mcp-registry"]
        assert registry(replicas=1).result.edges == ()


class TestAgent:
    def test_it_says_what_it_can_do_as_the_seed_writes_it(self, agent):
        text = agent(capabilities=(GREETING,)).one("ConfigMap").at("data")["agent-config.yaml"]
        assert yaml.safe_load(text) == {
            "capabilities": [{"name": "greeting", "version": "1.0.0", "timeout": 30}],
            "health_interval": 30,
            "retry_attempts": 3,
        }

    def test_tags_and_dependencies_are_told_too(self, agent):
        tagged = Capability(name="sum", tags=("maths",))
        text = (
            agent(capabilities=(tagged,), dependencies=("greeting",)).one("ConfigMap").at("data")["agent-config.yaml"]
        )
        assert yaml.safe_load(text)["capabilities"][0]["tags"] == ["maths"]
        assert yaml.safe_load(text)["dependencies"] == ["greeting"]

    def test_it_knows_its_registry_and_its_own_address(self, agent):
        given = variables(agent().one("Deployment"))
        assert given["MCP_MESH_REGISTRY_URL"] == "http://registry"
        assert given["MCP_MESH_HTTP_ENABLED"] == "true"
        assert given["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}

    def test_it_reads_its_config_from_where_it_is_mounted(self, agent):
        deployment = agent().one("Deployment")
        mount = next(each for each in deployment.at(f"{CONTAINER}.volumeMounts") if each["name"] == "config")
        assert deployment.at(f"{CONTAINER}.command") == [
            "slipway",
            "agent",
            "--config",
            f"{mount['mountPath']}/agent-config.yaml",
        ]

    def test_an_autoscaler_alone_decides_how_many_there_are(self, agent):
        stack = agent(replicas=4, scaling=Scaling(min_replicas=2, max_replicas=6))
        assert not stack.one("Deployment").has("spec.replicas")
        assert stack.one("HorizontalPodAutoscaler").at("spec.scaleTargetRef.name") == "hello"
        assert agent(replicas=4).one("Deployment").at("spec.replicas") == 4

    def test_callers_can_find_every_pod_without_the_registry(self, agent):
        stack = agent()
        headless = stack.one("Service", "hello-headless")
        assert headless.at("spec.clusterIP") == "None"
        assert headless.at("spec.ports.0") == {"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}
        assert stack.outputs(stack.one("Agent"))["endpoint"] == "http://hello.mesh.svc.cluster.local/mcp"


def walk(schema: dict, path: str = ""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


class TestDefinition:
    def test_it_is_the_fixed_resource(self, definition):
        assert definition.object_name == "mcpagents.mesh.mcp.io"
        assert definition.at("spec.group") == "mesh.mcp.io"
        assert definition.at("spec.scope") == "Namespaced"
        assert definition.at("spec.names.kind") == "MCPAgent"
        [version] = definition.at("spec.versions")
        assert (version["name"], version["served"], version["storage"]) == ("v1", True, True)

    def test_it_can_be_scaled_and_has_a_status_of_its_own(self, definition):
        assert definition.at("spec.versions.0.subresources") == {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        }

    def test_what_is_not_said_has_a_default(self, definition):
        spec = definition.at("spec.versions.0.schema.openAPIV3Schema.properties.spec.properties")
        defaults = {name: field["default"] for name, field in spec.items() if "default" in field}
        assert defaults == {
            "port": 8080,
            "replicas": 1,
            "healthInterval": 30,
            "retryAttempts": 3,
            "resources": {},
            "internetAccess": False,
            "serviceMonitor": False,
        }
        capability = spec["capabilities"]["items"]["properties"]
        assert (capability["version"]["default"], capability["timeout"]["default"]) == ("1.0.0", 30)

    def test_every_text_and_list_is_bounded(self, definition):
        schema = definition.at("spec.versions.0.schema.openAPIV3Schema")
        for path, field in walk({"properties": {part: schema["properties"][part] for part in ("spec", "status")}}):
            if field.get("type") == "array":
                assert "maxItems" in field, path
            if field.get("type") == "string":
                assert field.keys() & {"maxLength", "enum", "format"}, path

    def test_two_capabilities_of_one_name_are_refused_by_the_api_server(self, definition):
        found = definition.at("spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.capabilities")
        assert (found["x_kubernetes_list_type"], found["x_kubernetes_list_map_keys"]) == ("map", ["name"])

    def test_rules_speak_of_fields_that_exist(self, definition):
        rules = 0
        for path, field in walk(definition.at("spec.versions.0.schema.openAPIV3Schema")):
            for rule in field.get("x_kubernetes_validations", []):
                rules += 1
                assert set(re.findall(r"self\.(\w+)", rule["rule"])) <= set(field["properties"]), path
                assert ":" in rule["message"], "a message says what to do"
        assert rules == 6

    def test_a_list_shows_what_one_asks_first(self, definition):
        columns = [column["name"] for column in definition.at("spec.versions.0.additionalPrinterColumns")]
        assert columns == ["Ready", "Desired", "Registered", "Capabilities", "Reason", "Age"]


class TestOperator:
    def test_it_manages_what_agents_become_and_nothing_else(self, operator):
        rules = operator().one("ClusterRole").at("rules")
        resources = {resource for rule in rules for resource in rule["resources"]}
        assert {
            "mcpagents",
            "mcpagents/status",
            "deployments",
            "services",
            "serviceaccounts",
            "horizontalpodautoscalers",
            "poddisruptionbudgets",
            "networkpolicies",
            "servicemonitors",
            "events",
        } <= resources
        assert not resources & {"secrets", "pods/exec", "roles", "clusterroles", "rolebindings", "nodes"}
        assert [rule["verbs"] for rule in rules if "pods" in rule["resources"]] == [["list"]]
        for rule in rules:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]

    def test_it_cannot_make_or_delete_the_resource_it_serves(self, operator):
        [rule] = [rule for rule in operator().one("ClusterRole").at("rules") if "mcpagents" in rule["resources"]]
        assert set(rule["verbs"]) == {"get", "list", "watch", "patch"}

    def test_its_lease_is_one_object_of_its_own_namespace(self, operator):
        stack = operator()
        role = stack.one("Role", "operator-lease-role")
        assert role.at("metadata.namespace") == "mesh"
        named = [rule for rule in role.at("rules") if "resourceNames" in rule]
        assert [rule["resourceNames"] for rule in named] == [["operator-leader"]]
        assert [rule["verbs"] for rule in role.at("rules") if "resourceNames" not in rule] == [["create"]]
        assert stack.one("Deployment").at(f"{CONTAINER}.command") == [
            "slipway",
            "operator",
            "--lease",
            "operator-leader",
        ]

    def test_it_registers_what_it_makes_and_uses_its_own_image(self, operator):
        given = variables(operator().one("Deployment"))
        assert given["MCP_MESH_REGISTRY_URL"] == "http://registry"
        assert given["ARCHON_MCP_IMAGE"] == "slipway@sha256:1"

    def test_its_metrics_are_found_by_a_service(self, operator):
        stack = operator()
        service = stack.one("Service")
        assert service.at("spec.selector") == stack.one("Deployment").at("spec.selector.matchLabels")
        assert service.at("spec.ports.0.name") == "http"

    def test_no_pod_of_the_mesh_but_the_operators_has_a_token(self, operator, agent, registry):
        assert operator().one("Deployment").at(f"{POD}.automountServiceAccountToken") is True
        assert agent().one("Deployment").at(f"{POD}.automountServiceAccountToken") is False
        assert registry().one("StatefulSet").at(f"{POD}.automountServiceAccountToken") is False
