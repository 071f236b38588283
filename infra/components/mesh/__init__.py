"""The mesh: a registry, agents that find each other by capability, their custom resource and its operator."""

from infra.components.mesh.agents import Agent, AgentArgs, Capability
from infra.components.mesh.crd import AgentDefinition
from infra.components.mesh.operator import Operator, OperatorArgs
from infra.components.mesh.registry import Registry, RegistryArgs

__all__ = [
    "Agent",
    "AgentArgs",
    "AgentDefinition",
    "Capability",
    "Operator",
    "OperatorArgs",
    "Registry",
    "RegistryArgs",
]
