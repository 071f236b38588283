"""`@prompt`: a plain async function as a prompt."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast, overload

import msgspec
from msgspec import UNSET

from app.protocol.content import Completion, Icon, PromptArgument, PromptDefinition, PromptMessage, PromptResult, Text
from app.protocol.context import CallContext
from app.protocol.handlers import InvalidArguments
from app.toolsets._signature import Parameters, WrongArguments

PromptFunction = Callable[..., Awaitable[str | PromptMessage | Sequence[PromptMessage] | PromptResult]]
Completer = Callable[[str, Mapping[str, str]], Awaitable[Sequence[str] | Completion]]


class Completing:
    """Arguments that know suggestions for themselves; prompts and resource templates are such."""

    def __init__(self) -> None:
        self.completers: dict[str, Completer] = {}

    def completes(self, argument: str) -> Callable[[Completer], Completer]:
        """Decorate `async def suggest(value, others)`, which returns what `argument` may be, given what is typed."""

        def decorate(completer: Completer) -> Completer:
            self.completers[argument] = completer
            return completer

        return decorate


class FunctionPrompt(Completing):
    """One prompt made of a function; still callable as that function."""

    def __init__(self, function: PromptFunction, definition: PromptDefinition, parameters: Parameters) -> None:
        super().__init__()
        self.definition = definition
        self._function = function
        self._parameters = parameters
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the function itself, as a test would."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<prompt {self.definition.name}>"

    async def get(self, arguments: Mapping[str, str], context: CallContext) -> PromptResult:
        """Fill the prompt in. Raises `InvalidArguments`."""
        try:
            wanted = self._parameters.decode(msgspec.json.encode(arguments))
        except WrongArguments as error:
            raise InvalidArguments(str(error)) from None
        if self._parameters.injected is not None:
            wanted[self._parameters.injected] = context
        return _result(await self._function(**wanted), self.definition)


@overload
def prompt(function: PromptFunction, /) -> FunctionPrompt: ...


@overload
def prompt(
    *, name: str | None = None, title: str | None = None, description: str | None = None, icons: Sequence[Icon] = ()
) -> Callable[[PromptFunction], FunctionPrompt]: ...


def prompt(
    function: PromptFunction | None = None,
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    icons: Sequence[Icon] = (),
) -> FunctionPrompt | Callable[[PromptFunction], FunctionPrompt]:
    """Make a prompt of an async function that takes strings (the protocol has no others) and returns its messages.

    A returned `str` is one message of the user's. A parameter annotated `CallContext` gets the call's surroundings.
    """

    def decorate(function: PromptFunction) -> FunctionPrompt:
        parameters = Parameters(function, injected=CallContext)
        properties = cast("dict[str, dict[str, Any]]", parameters.schema.get("properties", {}))
        required = cast("list[str]", parameters.schema.get("required", []))
        definition = PromptDefinition(
            name=name or function.__name__,
            title=title or UNSET,
            description=description or inspect.getdoc(function) or UNSET,
            icons=list(icons) or UNSET,
            arguments=[
                PromptArgument(
                    name=argument, description=said.get("description", UNSET), required=argument in required or UNSET
                )
                for argument, said in properties.items()
            ]
            or UNSET,
        )
        return FunctionPrompt(function, definition, parameters)

    return decorate if function is None else decorate(function)


def _result(
    value: str | PromptMessage | Sequence[PromptMessage] | PromptResult, definition: PromptDefinition
) -> PromptResult:
    if isinstance(value, PromptResult):
        return value
    if isinstance(value, str):
        value = PromptMessage(role="user", content=Text(text=value))
    messages = [value] if isinstance(value, PromptMessage) else list(value)
    return PromptResult(messages=messages, description=definition.description)
