"""`@capability`: a plain async function that others may call by its name."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar, overload

from app.mesh.model import Dependency

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])
_MARK = "__slipway_capability__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A capability as its function declares it."""

    name: str
    version: str
    timeout: float
    tags: tuple[str, ...]
    needs: tuple[Dependency, ...]
    function: Callable[..., Awaitable[Any]]


@overload
def capability(function: Function, /) -> Function: ...


@overload
def capability(
    *,
    name: str | None = None,
    version: str = "1.0.0",
    timeout: float = 30,
    tags: Iterable[str] = (),
    needs: Iterable[str] = (),
) -> Callable[[Function], Function]: ...


def capability(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    timeout: float = 30,
    tags: Iterable[str] = (),
    needs: Iterable[str] = (),
) -> Function | Callable[[Function], Function]:
    """Declare that the agent can do what an async function does.

    The function's annotations and docstring describe its arguments, as those of a tool do. `timeout` is in seconds;
    `needs` names the capabilities of others that it calls, with a range of versions where that matters:
    `translate@^1.2`. The function itself is left as it is.
    """

    def mark(function: Function) -> Function:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"@capability {function!r}: make it `async def`")
        said = Declared(
            name=name or getattr(function, "__name__", ""),
            version=version,
            timeout=timeout,
            tags=tuple(tags),
            needs=tuple(dependency(need) for need in needs),
            function=function,
        )
        setattr(function, _MARK, said)
        return function

    return mark if function is None else mark(function)


def dependency(text: str) -> Dependency:
    """What `translate@^1.2` means."""
    name, at, version = text.partition("@")
    return Dependency(name.strip(), version.strip() if at else None)


def declared_in(module: ModuleType) -> list[Declared]:
    """The capabilities that a module declares or imports, in its order."""
    found: dict[int, Declared] = {}
    for value in vars(module).values():
        said = getattr(value, _MARK, None)
        if isinstance(said, Declared):
            found[id(said)] = said
    return list(found.values())
