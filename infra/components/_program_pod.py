"""A pod that runs one role of our own image: a server, the gateway, a registry, an agent, the operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.core.v1 import (
    ConfigMapEnvSourceArgs,
    ContainerArgs,
    EnvFromSourceArgs,
    LocalObjectReferenceArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import annotations, naming, pods, scheduling
from infra.component import Component, object_name
from infra.pods import Resources, SecretKey
from infra.ports import Port
from infra.scheduling import AntiAffinity

# A first start reads the image's bytecode and opens the stores: two minutes before it counts as failed.
STARTUP_PERIOD_SECONDS = 2
STARTUP_FAILURES = 60


@dataclass(frozen=True, kw_only=True)
class Program:
    """One role: its command and what its container is given."""

    component: str
    command: tuple[str, ...]
    image: pulumi.Input[str]
    namespace: pulumi.Input[str]
    port: Port
    resources: Resources
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    # Variables from the downward API, beside the pod's address and name: `{"NODE": "spec.nodeName"}`.
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    secret_environment: Mapping[str, SecretKey | None] = field(default_factory=dict[str, SecretKey | None])
    # The ConfigMap that has all of `environment`; None puts each variable, and those of every program, into the pod.
    config_map: pulumi.Input[str] | None = None
    container: str | None = None
    # The account it acts as through the Kubernetes API, and whether it does at all.
    account: pulumi.Input[str] | None = None
    mount_token: bool = False
    anti_affinity: AntiAffinity = "preferred"
    volumes: tuple[VolumeArgs, ...] = ()
    mounts: tuple[VolumeMountArgs, ...] = ()
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None
    # Whether a Deployment makes the pods: then they spread by revision.
    revisions: bool = True

    def deployment(
        self, owner: Component, *, replicas: int | None, strategy: DeploymentStrategyArgs | None = None
    ) -> pulumi.Output[str]:
        """The Deployment called as its owner; returns that name, known once the pods are up.

        No `replicas` where an autoscaler exists: a figure would undo its work at every update. Without a `strategy`,
        there is one pod more before there is one less.
        """
        made = Deployment(
            naming.child(owner.name, "deployment"),
            metadata=ObjectMetaArgs(
                name=owner.name, namespace=self.namespace, labels=naming.labels(owner.name, self.component)
            ),
            spec=DeploymentSpecArgs(
                replicas=replicas,
                revision_history_limit=5,
                selector=LabelSelectorArgs(match_labels=naming.selector(owner.name, self.component)),
                strategy=strategy or rolling(max_surge=1, max_unavailable=0),
                template=self.template(owner.name),
            ),
            opts=owner.child_options(),
        )
        return object_name(made.metadata)

    def template(self, name: str) -> PodTemplateSpecArgs:
        """What the workload called `name` makes its pods from."""
        selector = naming.selector(name, self.component)
        environment = self.environment if self.config_map is not None else self._environment(name)
        scraped = annotations.prometheus(self.port) if self.prometheus else {}
        return PodTemplateSpecArgs(
            metadata=ObjectMetaArgs(
                labels=naming.labels(name, self.component),
                annotations={
                    **scraped,
                    annotations.CONFIG_CHECKSUM: pulumi.Output.all(**environment).apply(annotations.checksum),
                    annotations.REQUEST_BUDGET: str(self.request_budget_seconds),
                },
            ),
            spec=PodSpecArgs(
                containers=[self._container(environment)],
                service_account_name=self.account,
                automount_service_account_token=self.mount_token,
                # What Kubernetes would set for a Service called `mcp` reads like the program's own MCP_PORT.
                enable_service_links=False,
                image_pull_secrets=None
                if self.pull_secret is None
                else [LocalObjectReferenceArgs(name=self.pull_secret)],
                security_context=pods.restricted_pod(),
                affinity=scheduling.apart(selector, self.anti_affinity),
                topology_spread_constraints=scheduling.evenly(selector, per_revision=self.revisions),
                termination_grace_period_seconds=pods.grace_period(
                    drain_seconds=self.drain_seconds, request_budget_seconds=self.request_budget_seconds
                ),
                volumes=[*self.volumes, pods.scratch_volume()],
            ),
        )

    def _environment(self, name: str) -> dict[str, pulumi.Input[str]]:
        """What is no secret. Raises ValueError where `environment` contradicts the args."""
        derived: dict[str, pulumi.Input[str]] = {
            "KUBERNETES_NAMESPACE": self.namespace,
            "MCP_DRAIN_SECONDS": str(self.request_budget_seconds),
            "MCP_HOST": "0.0.0.0",  # noqa: S104 - inside the pod, behind the network policies
            "MCP_PORT": str(self.port.number),
            "MCP_SERVICE_NAME": name,
        }
        taken = sorted({*derived, *self.fields, *self._secrets()} & {*self.environment})
        if taken:
            raise ValueError(
                f"{self.component} {name}: environment sets {', '.join(taken)}, which is derived: remove it"
            )
        return {**self.environment, **derived}

    def _secrets(self) -> dict[str, SecretKey]:
        return {name: reference for name, reference in sorted(self.secret_environment.items()) if reference is not None}

    def _config_source(self) -> list[EnvFromSourceArgs] | None:
        if self.config_map is None:
            return None
        return [EnvFromSourceArgs(config_map_ref=ConfigMapEnvSourceArgs(name=self.config_map))]

    def _container(self, environment: Mapping[str, pulumi.Input[str]]) -> ContainerArgs:
        return ContainerArgs(
            name=self.container or self.component,
            image=self.image,
            image_pull_policy="IfNotPresent",
            command=list(self.command),
            ports=[pods.container_port(self.port)],
            env_from=self._config_source(),
            env=[
                *pods.pod_identity(),
                *(pods.env_from_field(name, path) for name, path in self.fields.items()),
                *(pods.env(name, value) for name, value in sorted(environment.items()) if self.config_map is None),
                *(pods.env_from_secret(name, given.secret, given.key) for name, given in self._secrets().items()),
            ],
            resources=self.resources.args(),
            security_context=pods.restricted_container(),
            volume_mounts=[*self.mounts, pods.scratch_mount()],
            startup_probe=pods.http_probe(
                "/livez", self.port, period=STARTUP_PERIOD_SECONDS, failures=STARTUP_FAILURES
            ),
            liveness_probe=pods.http_probe("/livez", self.port, period=10, timeout=5),
            readiness_probe=pods.http_probe("/ready", self.port, period=5, failures=2),
            lifecycle=pods.drain(self.drain_seconds),
        )


def rolling(*, max_surge: int | str, max_unavailable: int) -> DeploymentStrategyArgs:
    """How many pods more, and how many less, there may be while a revision takes the place of another."""
    figures = RollingUpdateDeploymentArgs(max_surge=max_surge, max_unavailable=max_unavailable)
    return DeploymentStrategyArgs(type="RollingUpdate", rolling_update=figures)
