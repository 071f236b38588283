"""Aggregations: the stages that are allowed, checked and compiled once, for every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents._groups import compile_group
from app.toolsets.documents.budget import Budget
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.expressions import Expression, compile_expression
from app.toolsets.documents.filters import compile_filter
from app.toolsets.documents.ordering import MISSING
from app.toolsets.documents.projections import Projection, compile_projection, drop, field_tree, keep
from app.toolsets.documents.refusals import not_allowed
from app.toolsets.documents.sorting import Sort, compile_sort, sorted_documents
from app.toolsets.documents.values import Document, plain

Stage = Callable[[Iterator[Document], Budget], Iterable[Document]]

MOST_STAGES = 20


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that was checked."""

    raw: list[Document]
    """As it was sent, for a store that runs it itself."""
    _stages: tuple[Stage, ...]

    def run(self, documents: Iterator[Document], budget: Budget) -> Iterator[Document]:
        """What comes out. Raises `Refused` where an operator does not fit a document, `TookTooLong`."""
        for stage in self._stages:
            documents = iter(stage(documents, budget))
        return documents


def compile_pipeline(pipeline: list[Any], where: str = "pipeline") -> Pipeline:
    """Check a pipeline. Raises `Refused` for what is not allowed."""
    if len(pipeline) > MOST_STAGES:
        raise Refused(f"{where} has {len(pipeline)} stages: send {MOST_STAGES} at most.")
    stages: list[Stage] = []
    for index, stage in enumerate(pipeline):
        at = f"{where}[{index}]"
        if not isinstance(stage, dict) or len(cast("Document", stage)) != 1:
            example = '{"$match": {"status": "open"}}'
            raise Refused(f"{at} is {shown(plain(stage))}: send an object with one stage, as in {example}.")
        ((name, operand),) = cast("Document", stage).items()
        make = _STAGES.get(name)
        if make is None:
            raise not_allowed(name, "stage", at, _STAGES)
        stages.append(make(operand, f"{at}.{name}"))
    return Pipeline(cast("list[Document]", pipeline), tuple(stages))


def _match(operand: Any, where: str) -> Stage:
    matches = compile_filter(operand, where)
    return lambda documents, _: filter(matches, documents)


def _sort(operand: Any, where: str) -> Stage:
    sort = compile_sort(operand, where)
    return lambda documents, budget: _sorted(documents, sort, budget)


def _sorted(documents: Iterable[Document], sort: Sort, budget: Budget) -> Iterator[Document]:
    yield from sorted_documents(list(budget.holding(documents)), sort)


def _limit(operand: Any, where: str) -> Stage:
    most = _count(operand, where, least=1)

    def stage(documents: Iterator[Document], _budget: Budget) -> Iterator[Document]:
        for _, document in zip(range(most), documents, strict=False):
            yield document

    return stage


def _skip(operand: Any, where: str) -> Stage:
    first = _count(operand, where, least=0)
    return lambda documents, _: (document for place, document in enumerate(documents) if place >= first)


def _number(operand: Any, where: str) -> Stage:
    name = _field_name(operand, where)

    def stage(documents: Iterator[Document], _budget: Budget) -> Iterator[Document]:
        counted = sum(1 for _ in documents)
        if counted:
            yield {name: counted}

    return stage


def _project(operand: Any, where: str) -> Stage:
    fields = _fields(operand, where)
    marks = {name: value for name, value in fields.items() if _is_mark(value)}
    made = {name: value for name, value in fields.items() if name not in marks}
    if not made:
        projection = compile_projection(fields, where)
        return lambda documents, _: map(projection, documents)
    if any(not value for name, value in marks.items() if name != "_id"):
        raise Refused(f"{where} drops fields and makes others: drop them with $unset.")
    field_tree([name for name in fields if name not in marks or marks[name]], where)
    kept = keep({name: bool(value) for name, value in marks.items()} or {}, where)
    add = _adding(made, where)
    return lambda documents, _: (add(kept(document), document) for document in documents)


def _add_fields(operand: Any, where: str) -> Stage:
    add = _adding(_fields(operand, where), where)
    return lambda documents, _: (add(dict(document), document) for document in documents)


def _adding(fields: Document, where: str) -> Callable[[Document, Document], Document]:
    """A function that adds computed top-level fields to the first document, reckoned from the second."""
    parts: dict[str, Expression] = {}
    for name, expression in fields.items():
        if len(paths.parse(name, where)) > 1:
            raise Refused(f"{where} makes '{name[:80]}': name a field without dots, and make an object of it.")
        parts[name] = compile_expression(expression, f"{where}.{name[:80]}")

    def add(to: Document, document: Document) -> Document:
        for name, part in parts.items():
            value = part(document)
            if value is not MISSING:
                to[name] = value
        return to

    return add


def _unset(operand: Any, where: str) -> Stage:
    names = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
    if not names or not all(isinstance(name, str) for name in names):
        raise Refused(f"{where} is {shown(plain(operand))}: send a field's name or an array of names.")
    projection: Projection = drop(dict.fromkeys(names, False), where)
    return lambda documents, _: map(projection, documents)


def _unwind(operand: Any, where: str) -> Stage:
    options = cast("Document", operand) if isinstance(operand, dict) else {"path": operand}
    allowed = ("path", "preserveNullAndEmptyArrays", "includeArrayIndex")
    for name in options:
        if name not in allowed:
            raise not_allowed(name, "option", where, allowed)
    named = options.get("path")
    if not isinstance(named, str) or not named.startswith("$"):
        raise Refused(f'{where} is {shown(plain(operand))}: send the path of the array, as in "$lines".')
    field, *deeper = paths.parse(named[1:], where)
    if deeper:
        raise Refused(f"{where} names '{named[:80]}': only a field without dots can be unwound.")
    preserve = options.get("preserveNullAndEmptyArrays", False)
    if not isinstance(preserve, bool):
        raise Refused(f"{where}.preserveNullAndEmptyArrays is {shown(plain(preserve))}: send true or false.")
    index = _field_name(options["includeArrayIndex"], where) if "includeArrayIndex" in options else None
    return lambda documents, budget: _unwound(documents, field, index, budget, preserve=preserve)


def _unwound(
    documents: Iterable[Document], field: str, index: str | None, budget: Budget, *, preserve: bool
) -> Iterator[Document]:
    for document in documents:
        value = document.get(field)
        if isinstance(value, list) and value:
            for place, entry in enumerate(cast("list[Any]", value)):
                budget.check()
                yield {**document, field: entry, **({} if index is None else {index: place})}
        elif value is not None and value != []:
            yield {**document, **({} if index is None else {index: None})}
        elif preserve:
            left = {name: entry for name, entry in document.items() if name != field or entry is None}
            yield {**left, **({} if index is None else {index: None})}


def _group(operand: Any, where: str) -> Stage:
    return compile_group(_fields(operand, where), where)


_STAGES: dict[str, Callable[[Any, str], Stage]] = {
    "$match": _match,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$project": _project,
    "$addFields": _add_fields,
    "$set": _add_fields,
    "$unset": _unset,
    "$unwind": _unwind,
    "$group": _group,
    "$count": _number,
}


def _is_mark(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1))


def _fields(operand: object, where: str) -> Document:
    if isinstance(operand, dict) and operand:
        return cast("Document", operand)
    raise Refused(f"{where} is {shown(plain(operand))}: send an object of fields, one or more.")


def _count(operand: object, where: str, *, least: int) -> int:
    if isinstance(operand, int) and not isinstance(operand, bool) and operand >= least:
        return operand
    raise Refused(f"{where} is {shown(plain(operand))}: send an integer, {least} or more.")


def _field_name(operand: object, where: str) -> str:
    if isinstance(operand, str) and operand and not operand.startswith("$") and "." not in operand:
        return operand
    raise Refused(f"{where} is {shown(plain(operand))}: send the name of a field, without $ and dots.")
