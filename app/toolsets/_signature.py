"""A function's signature as the arguments a client sends: one schema, one decoder, one plain error."""

from __future__ import annotations

import copy
import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any, cast, get_type_hints

import msgspec

from app.toolsets._schema import Schema, fragment, schema_of, steps

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?(?P<path>\$[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)
_SHOWN = 80
_EXACT = 2**53


class WrongArguments(Exception):
    """The arguments do not fit; the message names the argument, its value and what to send instead."""


class NoObject(WrongArguments):
    """The arguments are not even a JSON object, which the protocol itself asks for."""


class Parameters:
    """What a function takes from the client. `decode` gives keyword arguments, ready to call it with."""

    __slots__ = ("_decode", "_kind", "injected", "names", "schema")

    def __init__(self, function: Callable[..., object], *, injected: type | tuple[type, ...] = ()) -> None:
        hints = get_type_hints(function, include_extras=True)
        fields: list[Any] = []
        self.injected: str | None = None
        for parameter in inspect.signature(function).parameters.values():
            hint = hints.get(parameter.name)
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise TypeError(f"{_of(function)}: parameter '{parameter}' cannot be sent by name; make it a plain one")
            if hint is None:
                raise TypeError(f"{_of(function)}: parameter '{parameter.name}' has no annotation; say its type")
            if isinstance(hint, type) and issubclass(hint, injected):
                self.injected = parameter.name
            else:
                fields.append(_field(parameter, hint))
        self.names: tuple[str, ...] = tuple(field[0] for field in fields)
        self._kind = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(self._kind).decode
        self.schema: Schema = schema_of(self._kind)

    def decode(self, raw: msgspec.Raw | bytes) -> dict[str, Any]:
        """The keyword arguments in a JSON object. Raises `WrongArguments`."""
        try:
            return msgspec.structs.asdict(self._decode(raw))
        except msgspec.ValidationError as error:
            return self._second_look(raw, error)
        except msgspec.DecodeError as error:
            raise NoObject(f"The arguments are not JSON: {error}. Send a JSON object.") from None

    def _second_look(self, raw: msgspec.Raw | bytes, error: msgspec.ValidationError) -> dict[str, Any]:
        """JSON Schema counts 3.0 as an integer and the decoder does not, so look again before refusing."""
        try:
            sent: object = msgspec.json.decode(raw)
        except msgspec.ValidationError as number:
            raise WrongArguments(f"{number}. Send numbers that fit in a double.") from None
        if not isinstance(sent, dict):
            raise NoObject(f"The arguments are {_shown(sent, _SHOWN)}. Send a JSON object.") from None
        try:
            return msgspec.structs.asdict(msgspec.convert(_whole(cast("dict[str, object]", sent)), self._kind))
        except msgspec.ValidationError:
            raise WrongArguments(explain(error, cast("object", sent), self.schema)) from None


def explain(error: msgspec.ValidationError, sent: object, schema: Schema) -> str:
    """What is wrong with what was sent, where, and what would be right."""
    matched = _AT.match(str(error))
    what, path = (matched["what"], matched["path"] or "$") if matched else (str(error), "$")
    if field := _FIELD.match(what):
        where = _dotted([*steps(path), field["name"]])
        known = cast("dict[str, Schema]", (fragment(schema, path) or {}).get("properties", {}))
        if field["how"] == "missing required":
            return f"Argument '{where}' is missing. Send {_wanted(known.get(field['name']))}."
        near = difflib.get_close_matches(field["name"], known, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        takes = ", ".join(known) or "no arguments"
        return f"Argument '{where}' is unknown. {hint}Send only: {takes}."
    said = f"Argument '{_dotted(steps(path))}' is {_value_at(sent, path)}: {what}."
    return f"{said} Send {_wanted(fragment(schema, path))}."


def _dotted(path: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _field(parameter: inspect.Parameter, hint: object) -> tuple[Any, ...]:
    if parameter.default is parameter.empty:
        return (parameter.name, hint)
    default: object = parameter.default
    if isinstance(default, (list, dict, set)):
        return (parameter.name, hint, msgspec.field(default_factory=lambda: copy.deepcopy(cast("object", default))))
    return (parameter.name, hint, default)


def _wanted(schema: Schema | None) -> str:
    if not schema:
        return "a value of the type in the tool's schema"
    wanted = {key: value for key, value in schema.items() if key not in ("title", "description", "$defs", "default")}
    said = f" ({schema['description']})" if schema.get("description") else ""
    return f"a value that fits {_shown(wanted, 200)}{said}"


def _value_at(sent: object, path: str) -> str:
    for step in steps(path):
        try:
            sent = cast("Any", sent)[step]
        except (LookupError, TypeError):
            return "not as it should be"
    return _shown(sent, _SHOWN)


def _shown(value: object, limit: int) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, list):
        return [_whole(entry) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in cast("dict[str, object]", value).items()}
    return value


def _of(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
