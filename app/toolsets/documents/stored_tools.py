"""Tools that are kept as documents: a name, a description, a schema of arguments, and a query with places for them."""

from __future__ import annotations

import re
from typing import Any, Literal, cast

import msgspec

from app.protocol.handlers import InvalidArguments, Tool
from app.toolsets import ToolAnnotations, tool
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.filters import compile_filter
from app.toolsets.documents.pipelines import compile_pipeline
from app.toolsets.documents.projections import compile_projection
from app.toolsets.documents.schemas import CompiledSchema, Schema, arguments_schema
from app.toolsets.documents.service import Documents, Wanted, check_name
from app.toolsets.documents.sorting import compile_sort
from app.toolsets.documents.tools import MOST_FOUND, Found
from app.toolsets.documents.values import Document, array_of, typed

MOST_DESCRIPTION = 2_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PLACE = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]*)\s*\}\}")
_SCALARS = ("string", "number", "integer", "boolean")
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


class StoredQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What a stored tool asks: `find` with the first four, or `aggregate` with a pipeline."""

    collection: str
    operation: Literal["find", "aggregate"] = "find"
    filter: dict[str, Any] = {}
    projection: dict[str, Any] = {}
    sort: dict[str, Any] = {}
    pipeline: list[dict[str, Any]] = []
    limit: int = 50


class StoredTool(msgspec.Struct, rename="camel"):
    """One definition, as it is kept. Schema and query may also be kept as the text of their JSON."""

    name: str
    description: str
    input_schema: dict[str, Any] | str
    query: dict[str, Any] | str
    title: str = ""


def parse_stored_tool(body: bytes) -> StoredTool:
    """The definition in a document. Raises `Refused`."""
    try:
        return msgspec.json.decode(body, type=StoredTool)
    except msgspec.ValidationError as error:
        raise Refused(f"This is no definition of a tool: {error}.") from None


def make_tool(stored: StoredTool, documents: Documents) -> Tool:
    """The tool of a definition. Raises `Refused` for one that would not work, whatever the arguments."""
    if _NAME.fullmatch(stored.name) is None:
        raise Refused(f"name is {shown(stored.name)}: send a letter, then letters, digits, _ - (64 at most).")
    if not 1 <= len(stored.description) <= MOST_DESCRIPTION:
        raise Refused(f"description has {len(stored.description)} characters: send 1 to {MOST_DESCRIPTION}.")
    schema = arguments_schema(typed(_json(stored.input_schema, "inputSchema"), "inputSchema"), "inputSchema")
    try:
        query = msgspec.convert(_json(stored.query, "query"), StoredQuery)
    except msgspec.ValidationError as error:
        raise Refused(f"query is not one: {error}.") from None
    _check_query(query, schema)

    @tool(
        name=stored.name,
        title=stored.title or None,
        description=stored.description,
        annotations=_READS,
        input_schema=schema.schema,
    )
    async def run(arguments: dict[str, Any]) -> Found:
        return await _run(documents, query, _checked(arguments, schema))

    return run


async def _run(documents: Documents, query: StoredQuery, arguments: Document) -> Found:
    if query.operation == "aggregate":
        pipeline = cast("list[Document]", _filled(query.pipeline, arguments))
        found, _ = await documents.aggregate(query.collection, pipeline, limit=query.limit, milliseconds=None)
    else:
        asked = cast("Document", _filled(query.filter, arguments))
        wanted = Wanted(filter=asked, projection=query.projection, sort=query.sort, limit=query.limit)
        found, _ = await documents.find(query.collection, wanted)
    return Found(found)


def _checked(sent: Document, schema: CompiledSchema) -> Document:
    """The arguments, with the defaults of those that were not sent."""
    known = cast("dict[str, Schema]", schema.schema.get("properties", {}))
    defaults = {name: inner["default"] for name, inner in known.items() if "default" in inner}
    arguments = {**defaults, **sent}
    faults = schema.faults(arguments)
    if faults:
        raise InvalidArguments(f"The arguments do not fit: {'; '.join(faults)}.")
    return arguments


def _check_query(query: StoredQuery, schema: CompiledSchema) -> None:
    """Try the query with an example of each argument, so that a mistake shows when the tool is made."""
    check_name(query.collection)
    if not 1 <= query.limit <= MOST_FOUND:
        raise Refused(f"query.limit is {query.limit}: send 1 to {MOST_FOUND}.")
    known = cast("dict[str, Schema]", schema.schema.get("properties", {}))
    required = cast("list[str]", schema.schema.get("required", []))
    places = _Places()
    places.look(query.filter, "query.filter", allowed=True)
    for name, value in (("projection", query.projection), ("sort", query.sort)):
        places.look(value, f"query.{name}", allowed=False)
    for index, stage in enumerate(query.pipeline):
        for name, operand in stage.items():
            at = f"query.pipeline[{index}].{name[:80]}"
            places.look(operand, at, allowed=name in ("$match", "$limit", "$skip"))
    for name, where in places.found.items():
        if name not in known:
            raise Refused(f"{where} has {{{{{name}}}}}, which is no property of inputSchema: add it there.")
        if name not in required and "default" not in known[name]:
            raise Refused(f"inputSchema.properties.{name} is neither required nor has it a default: give it one.")
    example = {name: _example(name, inner) for name, inner in known.items()}
    compile_filter(typed(_filled(query.filter, example), "query.filter"), "query.filter")
    compile_projection(query.projection, "query.projection")
    if query.sort:
        compile_sort(query.sort, "query.sort")
    if query.operation == "aggregate":
        compile_pipeline(typed(_filled(query.pipeline, example), "query.pipeline"), "query.pipeline")


class _Places:
    """Where a query takes an argument: only a whole value, and only where no value can act as an operator."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def look(self, value: object, where: str, *, allowed: bool) -> None:
        if isinstance(value, dict):
            for name, entry in cast("Document", value).items():
                if "{{" in name:
                    raise Refused(f"{where} has {{{{…}}}} in the name {shown(name)}: only values can be arguments.")
                self.look(entry, f"{where}.{name[:80]}", allowed=allowed)
        elif isinstance(value, list):
            for index, entry in enumerate(cast("list[Any]", value)):
                self.look(entry, f"{where}[{index}]", allowed=allowed)
        elif isinstance(value, str) and "{{" in value:
            place = _PLACE.fullmatch(value)
            if place is None:
                raise Refused(f'{where} is {shown(value)}: an argument is a whole value, as in "{{{{name}}}}".')
            if not allowed:
                raise Refused(f"{where} is {shown(value)}: arguments go into filters, $match, $limit and $skip only.")
            self.found[place[1]] = where


def _filled(value: Any, arguments: Document) -> Any:
    """The value with each place taken by its argument, as the value that it is."""
    if isinstance(value, dict):
        return {name: _filled(entry, arguments) for name, entry in cast("Document", value).items()}
    entries = array_of(value)
    if entries is not None:
        return [_filled(entry, arguments) for entry in entries]
    place = _PLACE.fullmatch(value) if isinstance(value, str) else None
    return value if place is None else arguments[place[1]]


def _example(name: str, schema: Schema | bool) -> Any:
    """A value for the argument. Raises `Refused` for one that could be an object: it could hold operators."""
    where = f"inputSchema.properties.{name}"
    if isinstance(schema, bool) or schema.get("type") not in (*_SCALARS, "array"):
        got = "no schema" if isinstance(schema, bool) else shown(schema.get("type"))
        raise Refused(f'{where}.type is {got}: send one of {", ".join(_SCALARS)}, or "array" of them.')
    if schema["type"] != "array":
        return schema.get("default", _EXAMPLES[schema["type"]])
    items = schema.get("items")
    if not isinstance(items, dict) or cast("Schema", items).get("type") not in _SCALARS:
        raise Refused(f"{where}.items.type: send one of {', '.join(_SCALARS)}.")
    return schema.get("default", [_EXAMPLES[cast("Schema", items)["type"]]])


def _json(value: Any, where: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError as error:
        raise Refused(f"{where} is text, but not of JSON: {error}.") from None


_EXAMPLES: dict[str, Any] = {"string": "text", "number": 1.5, "integer": 1, "boolean": True}
