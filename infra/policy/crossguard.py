"""The rules as CrossGuard policies: thin wrappers that turn the engine's resources into what a rule sees."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pulumi_policy import (
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from infra.policy.rules import RULES, Rule
from infra.policy.view import UNKNOWN, ResourceView


class Inputs:
    """The inputs of every resource, as the engine shows them one by one before it asks about the whole stack.

    A whole stack is shown by its outputs, where Kubernetes has already filled in what the program left out
    (`replicas`, for one), and a rule about what the program says would judge the cluster instead.
    """

    def __init__(self) -> None:
        self._by_urn: dict[str, dict[str, Any]] = {}

    def note(self, args: ResourceValidationArgs, report: ReportViolation) -> None:  # noqa: ARG002 - a policy's signature
        if args.resource_type.startswith("kubernetes:"):
            self._by_urn[args.urn] = plain(args.props)

    def view(self, resource: PolicyResource) -> ResourceView:
        """A resource of the stack as a rule sees it. Components have no inputs, only outputs."""
        return ResourceView(
            type=resource.resource_type,
            name=resource.name,
            urn=resource.urn,
            props=self._by_urn.get(resource.urn) or plain(resource.props),
            protected=resource.opts.protect,
        )


def policies() -> list[Policy]:
    """Every rule as a policy, after the one that notes the inputs."""
    inputs = Inputs()
    noting = ResourceValidationPolicy(
        name="note-inputs",
        description="Notes what the program says, for the policies that look at the whole stack.",
        validate=inputs.note,
    )
    return [noting, *(_policy(rule, inputs) for rule in RULES)]


def _policy(rule: Rule, inputs: Inputs) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for violation in rule.violations([inputs.view(resource) for resource in args.resources]):
            report(violation.message, violation.urn or None)

    return StackValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def plain(value: Any) -> Any:
    """The engine's value as plain data: no proxies, whole numbers as integers, and `UNKNOWN` where it cannot know."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        return {key: _known(found, key) for key in found}
    if isinstance(value, Sequence) and not isinstance(value, str):
        listed = cast("Sequence[Any]", value)
        return [_known(listed, index) for index in range(len(listed))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known(container: Any, key: str | int) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN
