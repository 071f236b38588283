"""What a running server says of itself."""

from __future__ import annotations

import time

import msgspec


class About(msgspec.Struct):
    """Facts about this process, filled in by whoever starts it."""

    name: str = "slipway"
    transports: tuple[str, ...] = ()
    stores: dict[str, str] = {}
    """What is kept where, as in `{"sessions": "memory"}`."""
    started: float = msgspec.field(default_factory=time.monotonic)

    @property
    def version(self) -> str:
        """The version of the program."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("slipway")
        except PackageNotFoundError:
            return "0"

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started
