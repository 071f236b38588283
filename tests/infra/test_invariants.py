"""What holds in every stack that ships, whatever its configuration."""

import pytest

from infra.policy.rules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_stack_keeps_every_rule(stack_name, evaluated, views, rule):
    violations = rule.violations(views(evaluated(stack_name)))
    assert [violation.message for violation in violations] == []


def test_no_secret_value_leaves_the_secret_objects(stack_name, evaluated):
    """What the engine would encrypt is in Secrets, in generated passwords, or nowhere."""
    keepers = {"Secret", "RandomPassword", "RandomBytes", "Provider"}
    leaks = [
        resource.name
        for resource in evaluated(stack_name).registered
        if resource.custom and resource.kind not in keepers and has_secret(resource.inputs)
    ]
    assert leaks == []


def has_secret(value) -> bool:
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return type(value).__name__ == "Secret"
