"""The custom resource `mcpagents.mesh.mcp.io`: an agent, declared to the cluster's own API."""

import pulumi

from infra.component import Component


class AgentDefinition(Component):
    """Owns the CustomResourceDefinition. Once a cluster. Output `crd_name`."""

    crd_name: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "AgentDefinition", name, opts)
        self.finish({})
