"""`@resource` and `@resource_template`: plain async functions as things to read."""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, UnsetType

from app.protocol.content import (
    Annotations,
    ResourceContents,
    ResourceDefinition,
    ResourceResult,
    TemplateDefinition,
)
from app.protocol.context import CallContext
from app.protocol.handlers import InvalidArguments
from app.toolsets._prompt import Completing
from app.toolsets._signature import Parameters, WrongArguments

ResourceFunction = Callable[..., Awaitable[str | bytes | ResourceResult]]

_EXPRESSION = re.compile(r"\{(\+?)(\w+)\}")


class FunctionResource:
    """One resource made of a function; still callable as that function."""

    def __init__(self, function: ResourceFunction, definition: ResourceDefinition, parameters: Parameters) -> None:
        self.definition = definition
        self._function = function
        self._context = parameters.injected
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the function itself, as a test would."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<resource {self.definition.uri}>"

    async def read(self, uri: str, context: CallContext) -> ResourceResult:
        """What is there now."""
        wanted = {} if self._context is None else {self._context: context}
        return _result(uri, self.definition.mime_type, await self._function(**wanted))


class FunctionTemplate(Completing):
    """Many resources made of one function, whose parameters are parts of the address."""

    def __init__(self, function: ResourceFunction, definition: TemplateDefinition, parameters: Parameters) -> None:
        super().__init__()
        self.definition = definition
        self._function = function
        self._parameters = parameters
        self._pattern = _pattern(definition.uri_template)
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the function itself, as a test would."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<resource template {self.definition.uri_template}>"

    def matches(self, uri: str) -> bool:
        """Whether `uri` is one of this template's."""
        return self._pattern.fullmatch(uri) is not None

    async def read(self, uri: str, context: CallContext) -> ResourceResult:
        """What is at `uri`. Raises `InvalidArguments` where a part of it does not fit."""
        matched = self._pattern.fullmatch(uri)
        if matched is None:
            raise InvalidArguments(f"'{uri}' does not fit the template '{self.definition.uri_template}'.")
        parts = {name: unquote(part) for name, part in matched.groupdict().items()}
        try:
            wanted = self._parameters.decode(msgspec.json.encode(parts))
        except WrongArguments as error:
            raise InvalidArguments(str(error)) from None
        if self._parameters.injected is not None:
            wanted[self._parameters.injected] = context
        return _result(uri, self.definition.mime_type, await self._function(**wanted))


def resource(
    uri: str,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    annotations: Annotations | None = None,
) -> Callable[[ResourceFunction], FunctionResource]:
    """Make a resource of an async function without parameters (but a `CallContext`) that returns text or bytes."""

    def decorate(function: ResourceFunction) -> FunctionResource:
        parameters = Parameters(function, injected=CallContext)
        if parameters.names:
            raise TypeError(f"@resource('{uri}'): it has one address, so '{parameters.names[0]}' can have no value")
        definition = ResourceDefinition(
            uri=uri,
            name=name or function.__name__,
            title=title or UNSET,
            description=description or inspect.getdoc(function) or UNSET,
            mime_type=mime_type or UNSET,
            annotations=annotations or UNSET,
        )
        return FunctionResource(function, definition, parameters)

    return decorate


def resource_template(
    uri_template: str,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    annotations: Annotations | None = None,
) -> Callable[[ResourceFunction], FunctionTemplate]:
    """Make a template of an async function whose string parameters are the `{parts}` of the address.

    `{part}` stops at a slash, `{+part}` does not.
    """

    def decorate(function: ResourceFunction) -> FunctionTemplate:
        parameters = Parameters(function, injected=CallContext)
        parts = {part for _, part in _EXPRESSION.findall(uri_template)}
        if parts != set(parameters.names):
            raise TypeError(
                f"@resource_template('{uri_template}'): its parts are {sorted(parts)}, "
                f"the parameters of {function.__qualname__} are {sorted(parameters.names)}; make them the same"
            )
        definition = TemplateDefinition(
            uri_template=uri_template,
            name=name or function.__name__,
            title=title or UNSET,
            description=description or inspect.getdoc(function) or UNSET,
            mime_type=mime_type or UNSET,
            annotations=annotations or UNSET,
        )
        return FunctionTemplate(function, definition, parameters)

    return decorate


def _pattern(uri_template: str) -> re.Pattern[str]:
    expression, at = "", 0
    for part in _EXPRESSION.finditer(uri_template):
        expression += re.escape(uri_template[at : part.start()])
        expression += f"(?P<{part[2]}>{'.+' if part[1] else '[^/?#]+'})"
        at = part.end()
    return re.compile(expression + re.escape(uri_template[at:]), re.DOTALL)


def _result(uri: str, mime_type: str | UnsetType, value: str | bytes | ResourceResult) -> ResourceResult:
    if isinstance(value, ResourceResult):
        return value
    if isinstance(value, bytes):
        contents = ResourceContents(uri=uri, mime_type=mime_type, blob=base64.b64encode(value).decode())
    else:
        contents = ResourceContents(uri=uri, mime_type=mime_type, text=value)
    return ResourceResult(contents=[contents])
