"""What a method is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.protocol.calls import Call
from app.protocol.params import Params, ParamsDecoder

Run = Callable[[Call, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method: how its parameters are decoded, what answers it, and in which eras it exists."""

    name: str
    decode: ParamsDecoder
    run: Run
    handshake: bool = True
    stateless: bool = True


def method(name: str, params: type[Params], run: Run, *, handshake: bool = True, stateless: bool = True) -> Method:
    """A method; by default of both eras."""
    return Method(name, ParamsDecoder(params), run, handshake, stateless)
