"""The custom resource `mcpagents.mesh.mcp.io`: an agent, declared to the cluster's own API."""

import pulumi
from pulumi_kubernetes.apiextensions.v1 import (
    CustomResourceColumnDefinitionArgs,
    CustomResourceDefinition,
    CustomResourceDefinitionNamesArgs,
    CustomResourceDefinitionSpecArgs,
    CustomResourceDefinitionVersionArgs,
    CustomResourceSubresourcesArgs,
    CustomResourceSubresourceScaleArgs,
    CustomResourceValidationArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name
from infra.components.mesh import _schema

GROUP = "mesh.mcp.io"
VERSION = "v1"
KIND = "MCPAgent"
PLURAL = "mcpagents"


class AgentDefinition(Component):
    """Owns the CustomResourceDefinition. Once a cluster: two stacks that both want it must agree on who has it."""

    crd_name: pulumi.Output[str]
    """Its name in the cluster, known once the API server serves it."""

    def __init__(
        self,
        name: str,
        opts: pulumi.ResourceOptions | None = None,
        *,
        operator: pulumi.Resource | None = None,
    ) -> None:
        """It is deleted before the `operator` is: all agents go with it, and their end is the operator's work."""
        super().__init__("mesh", "AgentDefinition", name, opts)
        definition = CustomResourceDefinition(
            naming.child(name, "crd"),
            metadata=ObjectMetaArgs(name=f"{PLURAL}.{GROUP}", labels=naming.labels(name, "crd")),
            spec=CustomResourceDefinitionSpecArgs(
                group=GROUP,
                scope="Namespaced",
                names=CustomResourceDefinitionNamesArgs(
                    kind=KIND, list_kind=f"{KIND}List", plural=PLURAL, singular="mcpagent", short_names=["mcpa"]
                ),
                versions=[_version()],
            ),
            # Children do not inherit what their component depends on.
            opts=self.child_options(depends_on=[] if operator is None else [operator]),
        )
        self.crd_name = object_name(definition.metadata)
        self.finish({"crd_name": self.crd_name})


def _version() -> CustomResourceDefinitionVersionArgs:
    return CustomResourceDefinitionVersionArgs(
        name=VERSION,
        served=True,
        storage=True,
        schema=CustomResourceValidationArgs(open_apiv3_schema=_schema.agent()),
        subresources=CustomResourceSubresourcesArgs(
            # No field of ours: `{}` alone turns the subresource on.
            status={},
            scale=CustomResourceSubresourceScaleArgs(
                spec_replicas_path=".spec.replicas",
                status_replicas_path=".status.replicas",
                label_selector_path=".status.selector",
            ),
        ),
        additional_printer_columns=[
            _column("Ready", "integer", ".status.readyReplicas"),
            _column("Desired", "integer", ".status.replicas"),
            _column("Registered", "string", '.status.conditions[?(@.type=="Registered")].status'),
            _column("Capabilities", "string", ".spec.capabilities[*].name"),
            _column("Reason", "string", '.status.conditions[?(@.type=="Available")].reason', priority=1),
            _column("Age", "date", ".metadata.creationTimestamp"),
        ],
    )


def _column(name: str, kind: str, path: str, *, priority: int = 0) -> CustomResourceColumnDefinitionArgs:
    return CustomResourceColumnDefinitionArgs(name=name, type=kind, json_path=path, priority=priority)
