"""`@tool`: a plain async function as a tool, with its schemas read off its annotations once."""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, overload

import msgspec
from msgspec import UNSET, Raw

from app.protocol.content import Block, Icon, Text, ToolAnnotations, ToolDefinition, ToolResult
from app.protocol.context import CallContext
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.handlers import InvalidArguments, ToolFailure
from app.protocol.pacing import TimeLimit, TimeLimitPassed
from app.toolsets._schema import Schema, schema_of
from app.toolsets._signature import NoObject, Parameters, WrongArguments

AsyncFunction = Callable[..., Awaitable[Any]]
TaskSupport = Literal["forbidden", "optional", "required"]

DEFAULT_TIMEOUT = 60.0
_NO_ARGUMENTS = Raw(b"{}")


class FunctionTool:
    """One tool made of a function; still callable as that function."""

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        definition: ToolDefinition,
        arguments: Callable[[Raw], dict[str, Any]],
        result: Callable[[Any], ToolResult],
        *,
        context: str | None,
        timeout: float | None,
        tasks: TaskSupport,
        asks_first: bool,
    ) -> None:
        self.definition = definition
        self.tasks: TaskSupport = tasks
        """Whether a call may, must or must not become a task that the client polls."""
        self.asks_first = asks_first
        """A call becomes a task only once the function awaits `context.detach()`."""
        self._function = function
        self._arguments = arguments
        self._result = result
        self._context = context
        self._limit = None if timeout is None else TimeLimit(timeout)
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the function itself, as a test would."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.definition.name}>"

    async def call(self, arguments: Raw | None, context: CallContext) -> ToolResult:
        """Decode, run and wrap. Raises `InvalidArguments`; any other error is the tool's own."""
        try:
            wanted = self._arguments(_NO_ARGUMENTS if arguments is None else arguments)
        except NoObject as error:
            raise ProtocolError(INVALID_PARAMS, str(error)) from None
        except WrongArguments as error:
            raise InvalidArguments(str(error)) from None
        if self._context is not None:
            wanted[self._context] = context
        if self._limit is None:
            return self._result(await self._function(**wanted))
        try:
            return self._result(await self._limit.run(self._function(**wanted)))
        except TimeLimitPassed:
            raise ToolFailure(
                f"'{self.definition.name}' did not finish within its limit of {self._limit.seconds:g} s. "
                "Ask for less, or try again later."
            ) from None


@overload
def tool(function: AsyncFunction, /) -> FunctionTool: ...


@overload
def tool(
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    annotations: ToolAnnotations | None = None,
    icons: Sequence[Icon] = (),
    input_schema: Schema | None = None,
    output_schema: Schema | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    tasks: TaskSupport = "forbidden",
    asks_first: bool = False,
    meta: dict[str, Any] | None = None,
) -> Callable[[AsyncFunction], FunctionTool]: ...


def tool(
    function: AsyncFunction | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    annotations: ToolAnnotations | None = None,
    icons: Sequence[Icon] = (),
    input_schema: Schema | None = None,
    output_schema: Schema | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    tasks: TaskSupport = "forbidden",
    asks_first: bool = False,
    meta: dict[str, Any] | None = None,
) -> FunctionTool | Callable[[AsyncFunction], FunctionTool]:
    """Make a tool of an async function.

    The name is the function's, the description its docstring, the schemas come from its annotations (constraints and
    descriptions by `Annotated[..., msgspec.Meta(...)]`). A parameter annotated `CallContext` gets the surroundings of
    the call. With `input_schema` the function takes one `dict[str, Any]` of unchecked arguments instead. `timeout` is
    in seconds, None for none. `tasks` says whether a call may go on as a task that the client polls; with `asks_first`
    it does so only from where the function awaits `context.detach()`.
    """

    def decorate(function: AsyncFunction) -> FunctionTool:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"@tool {function.__qualname__}: make it `async def`")
        if input_schema is None:
            parameters = Parameters(function, injected=CallContext)
            schema, arguments, context = parameters.schema, parameters.decode, parameters.injected
        else:
            schema, (arguments, context) = input_schema, _unchecked(function)
        made, result = _result_of(get_type_hints(function).get("return"))
        definition = ToolDefinition(
            name=name or function.__name__,
            title=title or UNSET,
            description=description or inspect.getdoc(function) or UNSET,
            icons=list(icons) or UNSET,
            meta=meta or UNSET,
            input_schema=schema,
            output_schema=output_schema or made or UNSET,
            annotations=annotations or UNSET,
        )
        return FunctionTool(
            function,
            definition,
            arguments,
            result,
            context=context,
            timeout=timeout,
            tasks=tasks,
            asks_first=asks_first,
        )

    return decorate if function is None else decorate(function)


def _unchecked(function: Callable[..., Any]) -> tuple[Callable[[Raw], dict[str, Any]], str | None]:
    context: str | None = None
    taken: list[str] = []
    hints = get_type_hints(function)
    for name in inspect.signature(function).parameters:
        if hints.get(name) is CallContext:
            context = name
        else:
            taken.append(name)
    if len(taken) != 1:
        raise TypeError(f"@tool {function.__qualname__}: with `input_schema`, take one parameter for all arguments")
    (only,) = taken
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def arguments(raw: Raw) -> dict[str, Any]:
        try:
            return {only: decode(raw)}
        except msgspec.MsgspecError as error:
            raise NoObject(f"The arguments are not a JSON object: {error}. Send a JSON object.") from None

    return arguments, context


def _result_of(hint: Any) -> tuple[Schema | None, Callable[[Any], ToolResult]]:
    """How to wrap what a function returns, and the schema of its structured content if there is any."""
    if hint is None or hint is Any:
        raise TypeError("a tool needs a return annotation: str, a content block, a list of them, or plain data")
    if hint is type(None):
        return None, lambda _: ToolResult(content=[])
    if hint is str:
        return None, lambda value: ToolResult(content=[Text(text=value)])
    if hint is ToolResult:
        return None, lambda value: value
    if _is_block(hint):
        return None, lambda value: ToolResult(content=[value])
    if get_origin(hint) is list and _is_block(get_args(hint)[0]):
        return None, lambda value: ToolResult(content=value)
    schema = schema_of(hint)
    if schema.get("type") == "object":
        return schema, _structured
    wrapped: Schema = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    if "$defs" in schema:
        wrapped["$defs"] = schema.pop("$defs")
    return wrapped, lambda value: _structured({"result": value})


def _is_block(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return all(_is_block(option) for option in get_args(hint))
    return isinstance(hint, type) and issubclass(hint, Block)


def _structured(value: Any) -> ToolResult:
    encoded = msgspec.json.encode(value)
    return ToolResult(content=[Text(text=encoded.decode())], structured_content=Raw(encoded))
