"""Every rule of the platform: a pure function over resources, run by the tests and by the policy pack alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from infra.policy.rules import connections, data, workloads
from infra.policy.view import ResourceView, Violation

Check = Callable[[Sequence[ResourceView]], Iterable[Violation]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named check. The name is what a policy configuration refers to."""

    name: str
    description: str
    check: Check

    def violations(self, resources: Sequence[ResourceView]) -> list[Violation]:
        return list(self.check(resources))


RULES = (
    Rule(
        name="autoscaled-workloads-name-no-replicas",
        description="Where an autoscaler exists, it alone decides how many pods there are.",
        check=workloads.autoscaled_workloads_name_no_replicas,
    ),
    Rule(
        name="pods-outlive-their-drain",
        description="A pod is not killed before its drain and its request budget are over.",
        check=workloads.pods_outlive_their_drain,
    ),
    Rule(
        name="containers-have-limits",
        description="Every container says what it asks for and what it may use at most.",
        check=workloads.containers_have_limits,
    ),
    Rule(
        name="containers-are-probed",
        description="Every container that serves is probed for life and for readiness.",
        check=workloads.containers_are_probed,
    ),
    Rule(
        name="pods-are-restricted",
        description="Every pod satisfies the restricted Pod Security Standard, on a read-only root.",
        check=workloads.pods_are_restricted,
    ),
    Rule(
        name="images-are-pinned",
        description="Outside dev every image is named by its digest.",
        check=workloads.images_are_pinned,
    ),
    Rule(
        name="selectors-are-immutable-sets",
        description="No selector holds a label that changes with a release.",
        check=connections.selectors_are_immutable_sets,
    ),
    Rule(
        name="selectors-find-one-workload",
        description="Every Service, budget and workload finds the pods of exactly one workload.",
        check=connections.selectors_find_one_workload,
    ),
    Rule(
        name="named-ports-are-served",
        description="Every port that a Service, a probe, an Ingress or a monitor names is there.",
        check=connections.named_ports_are_served,
    ),
    Rule(
        name="edges-and-policies-agree",
        description="Every edge of the platform has its network policies, and every policy an edge.",
        check=connections.edges_and_policies_agree,
    ),
    Rule(
        name="policies-open-served-ports",
        description="A network policy opens no port that its pods do not have.",
        check=connections.policies_open_ports_that_pods_have,
    ),
    Rule(
        name="secret-references-resolve",
        description="Every Secret that something refers to is in the stack, cert-manager's, or declared.",
        check=data.secret_references_resolve,
    ),
    Rule(
        name="secrets-stay-in-secrets",
        description="No secret is in a ConfigMap, a plain environment variable or a command.",
        check=data.secrets_stay_in_secrets,
    ),
    Rule(
        name="stateful-kinds-are-protected",
        description="Outside dev, what holds data is protected from deletion.",
        check=data.stateful_kinds_are_protected,
    ),
)
