"""`$group`: documents with equal keys become one, with what was gathered of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from app.toolsets.documents.budget import Budget
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.expressions import (
    Expression,
    average,
    compile_expression,
    extreme,
    in_range,
    null_for_missing,
    numbers_of,
)
from app.toolsets.documents.ordering import MISSING, Key, key_of
from app.toolsets.documents.refusals import not_allowed
from app.toolsets.documents.values import Document, plain

Gathered = Callable[[list[Any]], Any]


def compile_group(fields: Document, where: str) -> Callable[[Iterator[Document], Budget], Iterator[Document]]:
    """The stage. Raises `Refused` for what is not allowed."""
    if "_id" not in fields:
        raise Refused(f'{where} has no _id: send what to group by, as in {{"_id": "$status"}}, or null for all.')
    by = compile_expression(fields["_id"], f"{where}._id")
    gathering = {
        name: _accumulator(name, operand, f"{where}.{name[:80]}") for name, operand in fields.items() if name != "_id"
    }
    return lambda documents, budget: _groups(documents, by, gathering, budget)


def _groups(
    documents: Iterable[Document], by: Expression, gathering: dict[str, tuple[Expression, Gathered]], budget: Budget
) -> Iterator[Document]:
    groups: dict[Key, tuple[Any, dict[str, list[Any]]]] = {}
    for document in documents:
        group = null_for_missing(by(document))
        _, values = groups.setdefault(key_of(group), (group, {name: [] for name in gathering}))
        for name, (expression, _) in gathering.items():
            budget.hold()
            values[name].append(expression(document))
    for group, values in groups.values():
        yield {"_id": group, **{name: gather(values[name]) for name, (_, gather) in gathering.items()}}


def _accumulator(name: str, operand: object, where: str) -> tuple[Expression, Gathered]:
    if name.startswith("$") or "." in name:
        raise Refused(f"{where} is no name for a field: use one without $ and dots.")
    if not isinstance(operand, dict) or len(cast("Document", operand)) != 1:
        raise Refused(f'{where} is {shown(plain(operand))}: send one accumulator, as in {{"$sum": "$price"}}.')
    ((kind, argument),) = cast("Document", operand).items()
    gather = _ACCUMULATORS.get(kind)
    if gather is None:
        raise not_allowed(kind, "accumulator", where, _ACCUMULATORS)
    if kind == "$count" and argument != {}:
        raise Refused(f"{where}.$count is {shown(plain(argument))}: send {{}}.")
    return compile_expression(argument, f"{where}.{kind}"), gather


def _distinct(values: list[Any]) -> list[Any]:
    return list({key_of(value): value for value in values if value is not MISSING}.values())


_ACCUMULATORS: dict[str, Gathered] = {
    "$sum": lambda values: in_range(sum(numbers_of(values))),
    "$avg": lambda values: average(numbers_of(values)),
    "$min": lambda values: extreme(values, largest=False),
    "$max": lambda values: extreme(values, largest=True),
    "$first": lambda values: null_for_missing(values[0]),
    "$last": lambda values: null_for_missing(values[-1]),
    "$push": lambda values: [value for value in values if value is not MISSING],
    "$addToSet": _distinct,
    "$count": len,
}
