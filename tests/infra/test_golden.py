"""What each stack registers, as approved by whoever reviewed the snapshot. `make golden` rewrites them."""

import difflib
from hashlib import sha256

import pytest
import yaml

LONG_TEXT = 1500


def shown(value):
    """A value as the snapshot shows it: secrets hidden, long files by their digest."""
    if type(value).__name__ == "Secret":
        return "[secret]"
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return f"[{len(value.splitlines())} lines, sha256 {sha256(value.encode()).hexdigest()[:12]}]"
    return value


def snapshot(stack) -> str:
    """Every registration of a stack, in an order that does not depend on timing."""
    documents = {}
    for resource in sorted(stack.registered, key=lambda found: found.urn):
        entry = {"parent": resource.parent.rsplit("::", 1)[-1], "inputs": shown(resource.inputs)}
        if resource.protect or resource.retain_on_delete:
            entry["protected"] = True
        if not resource.custom:
            entry["outputs"] = shown(stack.finished.get(resource.urn, "never registered"))
        documents[f"{resource.type} {resource.name}"] = entry
    return yaml.safe_dump(documents, sort_keys=True, width=120, allow_unicode=True)


def test_a_stack_registers_what_was_approved(stack_name, evaluated, repository, request):
    approved = repository / "tests" / "infra" / "golden" / f"{stack_name}.yaml"
    current = snapshot(evaluated(stack_name))
    if request.config.getoption("--golden"):
        approved.write_text(current, encoding="utf-8")
        pytest.skip("rewritten")
    before = approved.read_text(encoding="utf-8") if approved.exists() else ""
    changes = list(difflib.unified_diff(before.splitlines(), current.splitlines(), "approved", "now", lineterm="", n=2))
    text = "\n".join(changes[:80])
    assert not changes, f"{stack_name} registers something else; run `make golden` if that is meant:\n{text}"


def test_every_component_registers_its_outputs(stack_name, evaluated):
    stack = evaluated(stack_name)
    silent = [found.name for found in stack.registered if not found.custom and found.urn not in stack.finished]
    assert silent == []


def test_a_stack_is_evaluated_the_same_way_twice(stack_name, evaluated, evaluate):
    assert snapshot(evaluated(stack_name)) == snapshot(evaluate(stack_name))
