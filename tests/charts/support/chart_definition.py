"""What the operator's chart takes from the platform program: the definition of `MCPAgent`, and its roles."""

from pathlib import Path
from typing import Any

import yaml

from infra.components.mesh import AgentDefinition, Operator, OperatorArgs

_CHART = Path(__file__).parents[3] / "charts/slipway-operator"
_DEFINITION = _CHART / "crds/mcpagents.mesh.mcp.io.yaml"
_RULES = _CHART / "files/cluster-rules.yaml"
_MANAGED_BY = "app.kubernetes.io/managed-by"


def texts(run: Any) -> dict[Path, str]:
    """The chart's files that are made, with what belongs into them. `run` runs a program under mocks."""
    return {_DEFINITION: _definition(run), _RULES: _rules(run)}


def _rules(run: Any) -> str:
    arguments = OperatorArgs(namespace="mesh", image="slipway", registry_url="http://registry")
    role = run(lambda: Operator("operator", arguments)).one("ClusterRole")
    head = "# Made by `make golden` from infra/components/mesh/operator.py.\n"
    return head + yaml.safe_dump(role.inputs["rules"], sort_keys=True, width=120)


def _definition(run: Any) -> str:
    inputs = run(lambda: AgentDefinition("mcpagents")).one("CustomResourceDefinition").inputs
    labels = {key: value for key, value in inputs["metadata"]["labels"].items() if key != _MANAGED_BY}
    made = {**_spelled(inputs), "metadata": {**inputs["metadata"], "labels": labels}}
    head = "# Made by `make golden` from infra/components/mesh/_schema.py and crd.py.\n"
    return head + yaml.safe_dump(made, sort_keys=True, width=120)


def _spelled(value: Any) -> Any:
    """As the API server spells it: Pulumi's classes have underscores where a dash is meant."""
    if isinstance(value, dict):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: _spelled(item)
            for key, item in value.items()
        }
    return [_spelled(item) for item in value] if isinstance(value, list) else value
