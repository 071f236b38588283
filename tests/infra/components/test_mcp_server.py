"""What an MCP server registers."""

import pytest

from infra.components.autoscaling import Scaling
from infra.components.mcp_server import McpServer, McpServerArgs
from infra.pods import SHUTDOWN_MARGIN_SECONDS, Resources, SecretKey
from infra.ports import MAP, WEBSOCKET

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
SELECTOR = {"app.kubernetes.io/name": "war", "app.kubernetes.io/component": "server"}


@pytest.fixture
def server(run):
    """Run one server called `war`; arguments as of McpServerArgs."""

    def make(**args):
        given = {"namespace": "mcp", "image": "registry.example/slipway@sha256:" + "ab" * 32} | args
        return run(lambda: McpServer("war", McpServerArgs(**given)))

    return make


def variables(stack):
    return {variable["name"]: variable for variable in stack.one("Deployment").at(f"{CONTAINER}.env")}


def test_a_server_has_an_explicit_name_in_its_namespace(server):
    metadata = server().one("Deployment").at("metadata")
    assert (metadata["name"], metadata["namespace"]) == ("war", "mcp")


def test_its_children_are_named_after_it_and_belong_to_it(server):
    stack = server()
    component = stack.one("McpServer")
    assert component.type == "slipway:mcp_server:McpServer"
    children = [resource for resource in stack.registered if resource.custom]
    assert all(child.name.startswith("war-") for child in children)
    assert all(child.parent.endswith("::war") for child in children)


def test_without_scaling_the_replicas_are_fixed_and_there_is_no_autoscaler(server):
    stack = server(replicas=3)
    assert stack.one("Deployment").at("spec.replicas") == 3
    assert not stack.all("HorizontalPodAutoscaler")


def test_with_scaling_the_deployment_names_no_replicas(server):
    stack = server(scaling=Scaling(), replicas=3)
    assert not stack.one("Deployment").has("spec.replicas")
    autoscaler = stack.one("HorizontalPodAutoscaler")
    assert autoscaler.at("spec.scaleTargetRef") == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "war"}


def test_a_deployment_selects_its_pods_by_a_set_that_has_no_version(server):
    deployment = server().one("Deployment")
    assert deployment.at("spec.selector.matchLabels") == SELECTOR
    assert SELECTOR.items() <= deployment.at("spec.template.metadata.labels").items()


def test_two_servers_share_nothing_but_the_namespace(run):
    def program():
        for name in ("war", "map"):
            McpServer(name, McpServerArgs(namespace="mcp", image="slipway:1"))

    stack = run(program)
    selectors = [deployment.at("spec.selector.matchLabels") for deployment in stack.all("Deployment")]
    assert selectors[0] != selectors[1]
    assert len({(resource.type, resource.name) for resource in stack.registered}) == len(stack.registered)


def test_the_service_listens_on_80_and_finds_the_named_port_of_the_container(server):
    stack = server(port=MAP)
    service = stack.one("Service", "war-service")
    assert service.at("metadata.name") == "war"
    assert service.at("spec.ports") == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    assert stack.one("Deployment").at(f"{CONTAINER}.ports") == [
        {"name": "http", "containerPort": 8081, "protocol": "TCP"}
    ]


def test_a_client_address_stays_with_its_pod_for_a_day(server):
    spec = server().one("Service", "war-service").at("spec")
    assert spec["sessionAffinity"] == "ClientIP"
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 86400}}


def test_affinity_can_be_switched_off(server):
    spec = server(affinity_seconds=None).one("Service", "war-service").at("spec")
    assert spec["sessionAffinity"] == "None"
    assert "sessionAffinityConfig" not in spec


def test_the_headless_service_names_the_pods_on_their_own_port(server):
    service = server(port=WEBSOCKET).one("Service", "war-headless")
    assert service.at("metadata.name") == "war-headless"
    assert service.at("spec.clusterIP") == "None"
    assert service.at("spec.ports.0.port") == 8080
    assert service.at("spec.selector") == SELECTOR


def test_there_is_no_node_port_unless_asked_for(server):
    stack = server()
    assert len(stack.all("Service")) == 2
    assert stack.result.node_port_name is None


def test_a_node_port_keeps_clients_on_their_pod_too(server):
    spec = server(node_port=30800, port=WEBSOCKET).one("Service", "war-nodeport").at("spec")
    assert spec["type"] == "NodePort"
    assert spec["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "nodePort": 30800, "protocol": "TCP"}]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 86400}}


def test_the_configuration_is_a_config_map_with_a_generated_name(server):
    stack = server(
        transport="websocket",
        port=WEBSOCKET,
        toolsets=("war", "search"),
        workers=4,
        environment={"MCP_LOG_LEVEL": "debug"},
    )
    config = stack.one("ConfigMap")
    assert not config.has("metadata.name")
    assert config.at("data") == {
        "KUBERNETES_NAMESPACE": "mcp",
        "MCP_DRAIN_SECONDS": "30",
        "MCP_HOST": "0.0.0.0",
        "MCP_LOG_LEVEL": "debug",
        "MCP_PORT": "8080",
        "MCP_SERVICE_NAME": "war",
        "MCP_TOOLSETS": "war,search",
        "MCP_TRANSPORT": "websocket",
        "MCP_WORKERS": "4",
    }
    assert stack.one("Deployment").at(f"{CONTAINER}.envFrom") == [{"configMapRef": {"name": config.object_name}}]


def test_a_change_of_configuration_changes_the_checksum_of_the_pods(server):
    path = "spec.template.metadata.annotations"

    def checksum(**environment):
        return server(environment=environment).one("Deployment").at(path)["slipway.dev/config-checksum"]

    assert checksum(MCP_LOG_LEVEL="info") == checksum(MCP_LOG_LEVEL="info")
    assert checksum(MCP_LOG_LEVEL="info") != checksum(MCP_LOG_LEVEL="debug")


def test_variables_of_services_never_reach_the_program(server):
    assert server().one("Deployment").at(f"{POD}.enableServiceLinks") is False


def test_the_public_names_are_allowed_beside_those_of_the_cluster(server):
    hosts = server(hosts=("mcp.example.org",)).one("ConfigMap").at("data.MCP_ALLOWED_HOSTS").split(",")
    assert {"mcp.example.org", "war", "war.mcp", "war.mcp.svc", "war.mcp.svc.cluster.local"} <= {*hosts}
    assert "war-headless.mcp.svc.cluster.local" in hosts


def test_secrets_reach_the_pod_by_reference_only(server):
    stack = server(
        redis_url=SecretKey(secret="cache-url", key="url"),
        mongodb_uri=SecretKey(secret="documents-url", key="uri"),
        bearer_tokens=SecretKey(secret="access", key="tokens"),
        request_state_key=SecretKey(secret="access", key="state"),
        secret_environment={"SEARCH_KEY": SecretKey(secret="more", key="search")},
    )
    references = {
        name: variable["valueFrom"]["secretKeyRef"]
        for name, variable in variables(stack).items()
        if "secretKeyRef" in variable["valueFrom"]
    }
    assert references == {
        "REDIS_URL": {"name": "cache-url", "key": "url"},
        "MONGODB_URI": {"name": "documents-url", "key": "uri"},
        "MCP_AUTH_TOKENS": {"name": "access", "key": "tokens"},
        "MCP_REQUEST_STATE_KEYS": {"name": "access", "key": "state"},
        "SEARCH_KEY": {"name": "more", "key": "search"},
    }
    assert not {*references} & {*stack.one("ConfigMap").at("data")}


def test_a_pod_knows_its_address_and_its_name(server):
    known = variables(server())
    assert known["POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
    assert known["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"environment": {"MCP_PORT": "1"}}, "environment sets MCP_PORT"),
        (
            {"environment": {"REDIS_URL": "redis://x"}, "redis_url": SecretKey(secret="cache", key="url")},
            "environment sets REDIS_URL",
        ),
        (
            {
                "secret_environment": {"REDIS_URL": SecretKey(secret="a", key="b")},
                "redis_url": SecretKey(secret="cache", key="url"),
            },
            "secret_environment sets REDIS_URL",
        ),
    ],
)
def test_a_variable_that_another_setting_decides_is_refused(server, args, message):
    with pytest.raises(ValueError, match=message):
        server(**args)


def test_the_program_is_started_by_its_command(server):
    assert server().one("Deployment").at(f"{CONTAINER}.command") == ["slipway", "serve"]


def test_probes_ask_for_life_and_for_readiness_separately(server):
    container = server().one("Deployment").at(CONTAINER)
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/ready", "port": "http"},
    }


def test_a_slow_start_is_given_two_minutes(server):
    probe = server().one("Deployment").at(f"{CONTAINER}.startupProbe")
    assert probe["periodSeconds"] * probe["failureThreshold"] == 120


def test_every_probe_is_answered_before_the_next_is_sent(server):
    container = server().one("Deployment").at(CONTAINER)
    for kind in ("liveness", "readiness"):
        assert container[f"{kind}Probe"]["timeoutSeconds"] < container[f"{kind}Probe"]["periodSeconds"]


def test_resources_are_what_was_given(server):
    resources = Resources(cpu_request="500m", memory_request="512Mi", cpu_limit="2", memory_limit="2Gi")
    assert server(resources=resources).one("Deployment").at(f"{CONTAINER}.resources") == {
        "requests": {"cpu": "500m", "memory": "512Mi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }


def test_the_pod_satisfies_the_restricted_standard(server):
    pod = server().one("Deployment").at(POD)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    context = pod["containers"][0]["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_only_tmp_can_be_written_to(server):
    container = server().one("Deployment").at(CONTAINER)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert "emptyDir" in server().one("Deployment").at(f"{POD}.volumes.0")


def test_a_stopping_pod_says_that_it_leaves_and_serves_on_for_15_seconds(server):
    stop = server().one("Deployment").at(f"{CONTAINER}.lifecycle.preStop.exec.command")
    assert stop == ["sh", "-c", "kill -USR1 1; sleep 15"]


def test_without_a_drain_nothing_delays_the_stop(server):
    assert not server(drain_seconds=0).one("Deployment").has(f"{CONTAINER}.lifecycle")


def test_the_grace_period_is_the_drain_the_budget_and_a_margin(server):
    stack = server(drain_seconds=20, request_budget_seconds=60)
    assert stack.one("Deployment").at(f"{POD}.terminationGracePeriodSeconds") == 80 + SHUTDOWN_MARGIN_SECONDS
    assert stack.one("ConfigMap").at("data.MCP_DRAIN_SECONDS") == "60"


def test_pods_prefer_separate_nodes(server):
    term = (
        server()
        .one("Deployment")
        .at(f"{POD}.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0")
    )
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == SELECTOR


def test_separate_nodes_can_be_required_and_a_roll_out_still_finds_room(server):
    deployment = server(anti_affinity="required").one("Deployment")
    rules = deployment.at(f"{POD}.affinity.podAntiAffinity")
    assert [*rules] == ["requiredDuringSchedulingIgnoredDuringExecution"]
    assert deployment.at("spec.strategy.rollingUpdate.maxUnavailable") == 1


def test_anti_affinity_can_be_left_out(server):
    assert not server(anti_affinity="none").one("Deployment").has(f"{POD}.affinity")


def test_a_roll_out_never_has_fewer_pods_than_before(server):
    assert server().one("Deployment").at("spec.strategy.rollingUpdate") == {"maxSurge": "25%", "maxUnavailable": 0}


def test_pods_spread_over_zones_and_nodes_but_start_anyway(server):
    constraints = server().one("Deployment").at(f"{POD}.topologySpreadConstraints")
    assert [constraint["topologyKey"] for constraint in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert {constraint["whenUnsatisfiable"] for constraint in constraints} == {"ScheduleAnyway"}


def test_one_pod_stays_while_nodes_are_drained(server):
    budget = server(replicas=2).one("PodDisruptionBudget")
    assert budget.at("spec.minAvailable") == 1
    assert budget.at("spec.selector.matchLabels") == SELECTOR


def test_a_single_pod_has_no_budget_that_would_block_every_drain(server):
    assert not server(replicas=1).all("PodDisruptionBudget")


def test_the_autoscalers_minimum_counts_for_the_budget(server):
    assert server(replicas=1, scaling=Scaling(min_replicas=2)).all("PodDisruptionBudget")


def test_a_budget_that_would_block_every_drain_is_refused(server):
    with pytest.raises(
        ValueError, match="min_available is 2 of 2 pods, which blocks every drain of a node: set it to 1"
    ):
        server(replicas=2, min_available=2)


def test_a_pod_that_never_became_ready_does_not_hold_up_a_drain(server):
    budget = server(replicas=2).one("PodDisruptionBudget")
    assert budget.at("spec.unhealthyPodEvictionPolicy") == "AlwaysAllow"


def test_an_image_that_the_node_has_is_not_pulled_again(server):
    assert server().one("Deployment").at(f"{CONTAINER}.imagePullPolicy") == "IfNotPresent"


def test_the_service_for_callers_carries_what_the_exposures_controller_reads(server):
    stack = server(service_annotations={"traefik.ingress.kubernetes.io/service.sticky.cookie": "true"})
    assert stack.one("Service", "war-service").at("metadata.annotations") == {
        "traefik.ingress.kubernetes.io/service.sticky.cookie": "true"
    }
    assert not stack.one("Service", "war-headless").has("metadata.annotations")


def test_without_a_role_no_token_is_mounted(server):
    stack = server()
    assert stack.one("ServiceAccount").at("automountServiceAccountToken") is False
    assert stack.one("Deployment").at(f"{POD}.automountServiceAccountToken") is False
    assert not stack.all("Role")
    assert not stack.all("ClusterRole")


def test_a_role_in_the_namespace_mounts_the_token_and_reads_no_secret(server):
    stack = server(access="namespace")
    assert stack.one("Deployment").at(f"{POD}.automountServiceAccountToken") is True
    role, binding = stack.one("Role"), stack.one("RoleBinding")
    assert {verb for rule in role.at("rules") for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert "secrets" not in {kind for rule in role.at("rules") for kind in rule["resources"]}
    assert binding.at("roleRef.name") == role.object_name
    assert binding.at("subjects") == [{"kind": "ServiceAccount", "name": "war", "namespace": "mcp"}]
    assert not stack.all("ClusterRole")


def test_a_role_in_the_cluster_has_a_generated_name_that_no_other_stack_takes(server):
    stack = server(access="cluster")
    role = stack.one("ClusterRole")
    assert not role.has("metadata.name")
    assert stack.one("ClusterRoleBinding").at("roleRef") == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": role.object_name,
    }
    assert not stack.all("Role")


def test_prometheus_finds_the_metrics_by_annotations(server):
    annotations = server(port=MAP).one("Deployment").at("spec.template.metadata.annotations")
    assert {key: value for key, value in annotations.items() if key.startswith("prometheus.io/")} == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8081",
        "prometheus.io/path": "/metrics",
    }


def test_the_annotations_for_prometheus_can_be_left_out(server):
    annotations = server(prometheus=False).one("Deployment").at("spec.template.metadata.annotations")
    assert not [key for key in annotations if key.startswith("prometheus.io/")]


def test_a_private_image_is_pulled_with_the_named_secret(server):
    assert server(pull_secret="registry").one("Deployment").at(f"{POD}.imagePullSecrets") == [{"name": "registry"}]
    assert not server().one("Deployment").has(f"{POD}.imagePullSecrets")


@pytest.mark.parametrize(
    ("transport", "endpoint"),
    [
        ("http", "http://war.mcp.svc.cluster.local/mcp"),
        ("sse", "http://war.mcp.svc.cluster.local/sse"),
        ("websocket", "ws://war.mcp.svc.cluster.local/mcp"),
    ],
)
def test_the_outputs_say_where_a_client_finds_it(server, transport, endpoint):
    stack = server(transport=transport, node_port=30800)
    assert stack.outputs(stack.one("McpServer")) == {
        "deployment": "war",
        "endpoint": endpoint,
        "headless_name": "war-headless",
        "node_port_name": "war-nodeport",
        "port": 8000,
        "selector": SELECTOR,
        "service_name": "war",
        "url": "http://war.mcp.svc.cluster.local",
    }
