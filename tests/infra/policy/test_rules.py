"""Each rule accepts a stack that keeps it and catches one that does not."""

import dataclasses

import pytest

from infra.policy.rules import RULES
from infra.policy.view import UNKNOWN

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_good_stack_keeps_every_rule(rule, environment, kept):
    assert rule.violations(kept(environment)) == []


def test_rules_have_names_of_their_own():
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_replicas_beside_an_autoscaler_are_caught(broken, said):
    [message] = said("autoscaled-workloads-name-no-replicas", broken("Deployment", "spec.replicas", 3))
    assert message.startswith("Deployment war names its replicas")
    assert message.endswith("HorizontalPodAutoscaler war decided: leave replicas out")


def test_an_autoscaler_of_nothing_is_caught(broken, said):
    [message] = said(
        "autoscaled-workloads-name-no-replicas",
        broken("HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "peace"),
    )
    assert message == "HorizontalPodAutoscaler war scales Deployment peace, which is not there"


def test_a_grace_period_that_ends_with_the_budget_is_caught(broken, said):
    [message] = said("pods-outlive-their-drain", broken("Deployment", f"{POD}.terminationGracePeriodSeconds", 45))
    assert "is killed after 45 s, but drains for 15 s and gives requests 30 s" in message
    assert not said("pods-outlive-their-drain", broken("Deployment", f"{POD}.terminationGracePeriodSeconds", 46))


def test_a_drain_by_a_shell_counts_too_and_so_does_the_default_grace_period(broken, said):
    command = {"exec": {"command": ["/bin/sh", "-c", "sleep 60"]}}
    [message] = said("pods-outlive-their-drain", broken("Deployment", f"{CONTAINER}.lifecycle.preStop", command))
    assert "drains for 60 s" in message
    [message] = said("pods-outlive-their-drain", broken("Deployment", f"{POD}.terminationGracePeriodSeconds", None))
    assert "is killed after 30 s" in message


@pytest.mark.parametrize("missing", ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"])
def test_a_container_without_a_figure_is_caught(broken, said, missing):
    assert said("containers-have-limits", broken("Deployment", f"{CONTAINER}.resources.{missing}", None)) == [
        f"Deployment war: container server: names no {missing} under resources: name them"
    ]


def test_an_init_container_needs_limits_too(broken, said):
    resources = broken("Deployment", f"{POD}.initContainers", [{"name": "copy", "image": "busybox"}])
    [message] = said("containers-have-limits", resources)
    assert message.startswith("Deployment war: init container copy:")


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_a_container_without_a_probe_is_caught(broken, said, probe):
    assert said("containers-are-probed", broken("Deployment", f"{CONTAINER}.{probe}", None)) == [
        f"Deployment war: container server: has no {probe}: add one"
    ]


def test_a_job_needs_no_probes_but_limits(view, said):
    pod = {"spec": {"containers": [{"name": "dump", "image": "busybox"}]}}
    job = view("batch/v1:CronJob", "backup", spec={"jobTemplate": {"spec": {"template": pod}}})
    assert said("containers-are-probed", [job]) == []
    assert len(said("containers-have-limits", [job])) == 1


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (f"{CONTAINER}.securityContext.privileged", True, "privileged must not be set"),
        (f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True, "allowPrivilegeEscalation must be false"),
        (f"{CONTAINER}.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation must be false"),
        (f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False, "readOnlyRootFilesystem must be true"),
        (f"{CONTAINER}.securityContext.runAsNonRoot", False, "runAsNonRoot must be true"),
        (f"{POD}.securityContext.runAsUser", 0, "runAsUser must not be 0"),
        (f"{CONTAINER}.securityContext.capabilities.drop", ["NET_RAW"], "capabilities.drop must hold ALL"),
        (f"{CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"], "may hold NET_BIND_SERVICE only"),
        (
            f"{CONTAINER}.securityContext.seccompProfile.type",
            "Unconfined",
            "seccompProfile.type must be RuntimeDefault",
        ),
        (f"{POD}.hostNetwork", True, "hostNetwork must not be set"),
        (f"{POD}.hostPID", True, "hostPID must not be set"),
        (f"{POD}.volumes", [{"name": "etc", "hostPath": {"path": "/etc"}}], "volume etc is a path of the node"),
    ],
)
def test_a_pod_outside_the_restricted_standard_is_caught(broken, said, path, value, fault):
    [message] = said("pods-are-restricted", broken("Deployment", path, value))
    assert fault in message


@pytest.mark.parametrize("image", ["slipway", "slipway:latest", "slipway:1.2.3", "slipway@sha256:abc"])
def test_an_image_without_a_digest_is_caught_outside_dev(broken, said, image):
    assert said("images-are-pinned", broken("Deployment", f"{CONTAINER}.image", image)) == [
        f"Deployment war: container server: runs {image}, which may change: name it by digest, @sha256:…"
    ]
    assert said("images-are-pinned", broken("Deployment", f"{CONTAINER}.image", image, environment="dev")) == []


def test_a_digest_that_a_preview_cannot_know_is_not_judged(broken, said):
    assert said("images-are-pinned", broken("Deployment", f"{CONTAINER}.image", UNKNOWN)) == []


def test_a_stack_that_does_not_say_what_it_is_is_judged_as_prod(broken, said):
    resources = broken("Deployment", f"{CONTAINER}.image", "slipway:1", environment="dev")
    unsaid = [resource for resource in resources if resource.kind != "Platform"]
    assert len(said("images-are-pinned", unsaid)) == 1


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("Deployment", "spec.selector.matchLabels", None),
        ("Service", "spec.selector", "war-service"),
        ("PodDisruptionBudget", "spec.selector.matchLabels", None),
    ],
)
def test_a_version_in_a_selector_is_caught(broken, said, kind, path, name):
    resources = broken(kind, path, {"app.kubernetes.io/name": "war", "app.kubernetes.io/version": "1"}, name=name)
    [message] = said("selectors-are-immutable-sets", resources)
    assert "selects by app.kubernetes.io/version, which changes with a release" in message


def test_a_workload_that_selects_everything_is_caught(broken, said):
    [message] = said("selectors-are-immutable-sets", broken("Deployment", "spec.selector.matchLabels", {}))
    assert message == "Deployment war selects by no labels: give it matchLabels"


def test_a_service_that_finds_no_pods_is_caught(broken, said):
    resources = broken("Service", "spec.selector", {"app.kubernetes.io/name": "peace"}, name="war-headless")
    assert said("selectors-find-one-workload", resources) == [
        "Service war-headless selects no pods: its labels must find exactly one"
    ]


def test_two_workloads_with_the_same_labels_are_caught(kept, said):
    resources = kept()
    [deployment] = [resource for resource in resources if resource.kind == "Deployment"]
    twin = dataclasses.replace(
        deployment, props={**deployment.props, "metadata": {**deployment.props["metadata"], "name": "twin"}}
    )
    messages = said("selectors-find-one-workload", [*resources, twin])
    assert "Service war selects Deployment war and Deployment twin: its labels must find exactly one" in messages


def test_the_same_labels_in_another_namespace_are_no_clash(kept, said):
    resources = kept()
    [deployment] = [resource for resource in resources if resource.kind == "Deployment"]
    metadata = {**deployment.props["metadata"], "namespace": "elsewhere"}
    other = dataclasses.replace(deployment, props={**deployment.props, "metadata": metadata})
    assert said("selectors-find-one-workload", [*resources, other]) == []


@pytest.mark.parametrize("port", ["https", 9999])
def test_a_service_for_a_port_that_no_container_has_is_caught(broken, said, port):
    resources = broken("Service", "spec.ports.0.targetPort", port, name="war-service")
    assert said("named-ports-are-served", resources) == [
        f"Service war sends to port {port}, which no container of Deployment war has (it has http 8000)"
    ]


def test_a_probe_of_a_port_that_the_container_has_not_is_caught(broken, said):
    [message] = said("named-ports-are-served", broken("Deployment", f"{CONTAINER}.readinessProbe.httpGet.port", "web"))
    assert "readinessProbe asks port web, which it does not have (it has http 8000)" in message


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ({"name": "war", "port": {"number": 8080}}, "sends to port 8080 of Service war, which has http 80"),
        ({"name": "war", "port": {"name": "web"}}, "sends to port web of Service war, which has http 80"),
        ({"name": "peace", "port": {"number": 80}}, "sends to Service peace, which is not there"),
    ],
)
def test_an_ingress_to_what_is_not_served_is_caught(kept, view, said, service, fault):
    rule = {"http": {"paths": [{"path": "/", "backend": {"service": service}}]}}
    ingress = view("networking.k8s.io/v1:Ingress", "front", spec={"rules": [rule]})
    assert said("named-ports-are-served", [*kept(), ingress]) == [f"Ingress front {fault}"]


def test_a_monitor_of_a_port_that_no_service_has_is_caught(kept, view, said):
    spec = {"selector": {"matchLabels": {"app.kubernetes.io/name": "war"}}, "endpoints": [{"port": "metrics"}]}
    monitor = view("monitoring.coreos.com/v1:ServiceMonitor", "war", spec=spec)
    [message] = said("named-ports-are-served", [*kept(), monitor])
    assert message == "ServiceMonitor war scrapes port metrics, which none of its 2 Services has"


def test_an_edge_without_its_policy_is_caught(kept, said):
    resources = [resource for resource in kept() if resource.name != "network-prometheus-to-war-in"]
    assert said("edges-and-policies-agree", resources) == [
        "edge prometheus-to-war has no NetworkPolicy prometheus-to-war-in, so it is denied"
    ]


def test_a_policy_without_its_edge_is_caught(kept, view, said):
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 22}]}]}
    extra = view("networking.k8s.io/v1:NetworkPolicy", "back-door", spec=spec)
    assert said("edges-and-policies-agree", [*kept(), extra]) == [
        "NetworkPolicy back-door allows what no edge declares: declare it, or remove it"
    ]


def test_a_policy_that_opens_more_than_its_edge_is_caught(broken, said):
    rules = [{"ports": [{"port": 8000, "protocol": "TCP"}, {"port": 22, "protocol": "TCP"}]}]
    resources = broken("NetworkPolicy", "spec.ingress", rules, name="network-prometheus-to-war-in")
    assert said("edges-and-policies-agree", resources) == [
        "NetworkPolicy prometheus-to-war-in opens 22/TCP, 8000/TCP, but edge prometheus-to-war uses 8000/TCP"
    ]


def test_a_policy_that_hides_its_edge_is_caught(broken, said):
    resources = broken("NetworkPolicy", "metadata.annotations", {}, name="network-prometheus-to-war-in")
    [message] = said("edges-and-policies-agree", resources)
    assert message.endswith("does not say its edge in the annotation slipway.dev/edge")


def test_edges_without_a_default_deny_are_caught(kept, said):
    resources = [resource for resource in kept() if resource.name != "network-default-deny"]
    [message] = said("edges-and-policies-agree", resources)
    assert message.startswith("no NetworkPolicy denies what no edge allows")


def test_a_policy_for_a_port_that_its_pods_have_not_is_caught(broken, said):
    rules = [{"ports": [{"port": 9090, "protocol": "TCP"}]}]
    resources = broken("NetworkPolicy", "spec.ingress", rules, name="network-prometheus-to-war-in")
    assert said("policies-open-served-ports", resources) == [
        "NetworkPolicy prometheus-to-war-in opens port 9090, which its pods do not have (they have [8000])"
    ]


def test_a_reference_to_a_secret_that_is_not_there_is_caught(kept, said):
    resources = [resource for resource in kept() if resource.kind != "Secret"]
    assert said("secret-references-resolve", resources) == [
        "Deployment war refers to Secret cache-0a1b2c3d, which is not in namespace mcp"
    ]


def test_a_reference_to_a_key_that_is_not_there_is_caught(broken, said):
    resources = broken("Secret", "stringData", {"uri": "x"})
    assert said("secret-references-resolve", resources) == [
        "Deployment war refers to key url of Secret cache-0a1b2c3d, which has uri"
    ]


def test_keys_that_a_preview_cannot_know_are_not_judged(broken, said):
    assert said("secret-references-resolve", broken("Secret", "stringData", UNKNOWN)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{CONTAINER}.envFrom", [{"secretRef": {"name": "gone"}}]),
        (f"{POD}.volumes", [{"name": "keys", "secret": {"secretName": "gone"}}]),
        (f"{POD}.volumes", [{"name": "all", "projected": {"sources": [{"secret": {"name": "gone"}}]}}]),
        (f"{POD}.imagePullSecrets", [{"name": "gone"}]),
    ],
)
def test_every_way_to_refer_to_a_secret_is_followed(broken, said, path, value):
    assert said("secret-references-resolve", broken("Deployment", path, value)) == [
        "Deployment war refers to Secret gone, which is not in namespace mcp"
    ]


def test_an_optional_secret_may_be_absent(broken, said):
    value = [{"secretRef": {"name": "gone", "optional": True}}]
    assert said("secret-references-resolve", broken("Deployment", f"{CONTAINER}.envFrom", value)) == []


def test_a_certificates_secret_counts_as_there(kept, view, said):
    ingress = view("networking.k8s.io/v1:Ingress", "front", spec={"tls": [{"secretName": "front-tls"}]})
    certificate = view("cert-manager.io/v1:Certificate", "front", spec={"secretName": "front-tls"})
    assert len(said("secret-references-resolve", [*kept(), ingress])) == 1
    assert said("secret-references-resolve", [*kept(), ingress, certificate]) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "place"),
    [
        ("ConfigMap", "data", {"settings.ini": "cache = redis://:correct-horse@cache:6379"}, "key settings.ini"),
        (
            "Deployment",
            f"{CONTAINER}.env",
            [{"name": "CACHE", "value": "redis://:correct-horse@cache:6379"}],
            "variable CACHE",
        ),
        (
            "Deployment",
            f"{CONTAINER}.command",
            ["redis-cli", "-u", "redis://:correct-horse@cache:6379"],
            "the command of server",
        ),
    ],
)
def test_the_value_of_a_secret_elsewhere_is_caught_and_never_shown(broken, said, kind, path, value, place):
    [message] = said("secrets-stay-in-secrets", broken(kind, path, value))
    assert f"{place} holds the value of a Secret: refer to a Secret instead" in message
    assert "correct-horse" not in message


def test_an_encoded_secret_is_recognised_too(broken, view, said):
    resources = broken("ConfigMap", "data", {"motd": "the word is swordfish"})
    secret = view("core/v1:Secret", "word", data={"word": "c3dvcmRmaXNo"})
    assert len(said("secrets-stay-in-secrets", [*resources, secret])) == 1


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "MCP_AUTH_TOKENS", "SEARCH_API_KEY", "client_secret"])
def test_a_plain_variable_named_like_a_secret_is_caught(broken, said, name):
    [message] = said("secrets-stay-in-secrets", broken("ConfigMap", "data", {name: "x"}))
    assert f"key {name} is named like a secret" in message


def test_a_variable_that_names_a_secret_is_none(broken, kept, said):
    own = next(view.object_name for view in kept() if view.kind == "Secret")
    for named in (own, "pulled-by-hand"):
        resources = broken("ConfigMap", "data", {"MCP_POD_PULL_SECRET": named})
        assert said("secrets-stay-in-secrets", resources) == []


@pytest.mark.parametrize("name", ["REDIS_PASSWORD_FILE", "TOKEN_TTL", "MCP_TOOLSETS", "KEYSPACE"])
def test_a_variable_about_a_secret_is_none(broken, said, name):
    assert said("secrets-stay-in-secrets", broken("ConfigMap", "data", {name: "/run/secret"})) == []


def test_a_url_with_a_password_is_caught_and_one_with_a_placeholder_is_not(broken, said):
    [message] = said("secrets-stay-in-secrets", broken("ConfigMap", "data", {"URL": "mongodb://app:hunter2@db/x"}))
    assert "holds a URL with a password" in message
    assert "hunter2" not in message
    listed = '{"pypi":[{"url":"https://pypi.acme.example","username":"ci@acme.example"}]}'
    assert said("secrets-stay-in-secrets", broken("ConfigMap", "data", {"REGISTRIES": listed})) == []
    script = {"run.sh": "mongosh mongodb://$USER:$PASSWORD@db/x"}
    assert said("secrets-stay-in-secrets", broken("ConfigMap", "data", script)) == []


@pytest.mark.parametrize("kind", ["apps/v1:StatefulSet", "core/v1:PersistentVolumeClaim", "core/v1:Namespace"])
def test_what_holds_data_unprotected_is_caught_outside_dev(kept, view, said, kind):
    store = view(kind, "store")
    [message] = said("stateful-kinds-are-protected", [*kept(), store])
    assert message.endswith("holds data and is not protected: set slipway:protect to true")
    assert said("stateful-kinds-are-protected", [*kept("dev"), store]) == []


def test_what_is_protected_but_would_go_with_the_stack_is_caught(kept, view, said):
    store = dataclasses.replace(view("apps/v1:StatefulSet", "store", protected=True), retained=False)
    [message] = said("stateful-kinds-are-protected", [*kept(), store])
    assert message.endswith("would go with the stack: set retain_on_delete")


def test_the_documentation_lists_every_rule_as_it_is(repository):
    page = (repository / "docs" / "policy.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.description} |" for rule in RULES]
