"""The list of rules, and what each of them reads."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config.errors import Problem

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

Check = Callable[["StackConfig"], Iterator[Problem]]


@dataclass(frozen=True)
class Rule:
    """A check and the sections that it reads: it is skipped when one of them is wrong in itself."""

    check: Check
    sections: frozenset[str]


RULES: list[Rule] = []


def rule(*sections: str) -> Callable[[Check], Check]:
    """Add a check. `sections` are the top-level keys that it reads, in camelCase."""

    def add(check: Check) -> Check:
        RULES.append(Rule(check, frozenset(sections)))
        return check

    return add


def check(config: "StackConfig", *, skip: Collection[str] = ()) -> list[Problem]:
    """All problems that the rules find, in sections other than `skip`."""
    return [found for rule in RULES if not rule.sections & set(skip) for found in rule.check(config)]
