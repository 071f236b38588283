"""Where it is kept which servers shall run: what outlives a restart, and what replicas agree on."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from app.gateway.manager.model import Phase, ServerInfo, Wanted

_REMEDY = "Name a file in a folder that this user may write to."


class StoreError(Exception):
    """What shall run cannot be read or written; the message says where and what to do."""


class Claim(msgspec.Struct, frozen=True):
    """The replica that runs a server, and where that replica is reached."""

    owner: str
    url: str
    life: str = ""
    """A replica that starts again under its name is another one: what it ran as processes is gone."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the replica that runs a server tells the others of it."""

    phase: Phase
    reason: str = ""
    spec: str = ""
    """The digest of the spec that this is about."""
    url: str | None = None
    """Where every replica reaches it; None while there is no way, or only through its owner."""
    transport: str = "http"
    server: ServerInfo | None = None
    package: str | None = None
    seconds_to_ready: float | None = None
    restarts: int = 0


class Store(Protocol):
    """The servers that shall run. With several replicas, also which of them runs each."""

    @property
    def kind(self) -> str:
        """`memory`, `file` or `redis`."""
        ...

    async def load(self) -> dict[str, Wanted]:
        """All servers, by id."""
        ...

    async def put(self, wanted: Wanted, *, replacing: Wanted | None) -> bool:
        """Keep one in the place of another (None: of nothing). False when there is by now something else."""
        ...

    async def remove(self, server_id: str) -> bool:
        """Keep it no longer; whether it was there."""
        ...

    async def claim(self, server_id: str) -> Claim | None:
        """Become, or stay, the one that runs a server; None when that is so, else who does."""
        ...

    async def release(self, server_id: str) -> None:
        """Let others run it."""
        ...

    async def tell(self, server_id: str, told: Told) -> None:
        """For the one that runs it: tell the others how it is."""
        ...

    async def told(self, server_id: str) -> Told | None:
        """What was told last; None when nobody runs it."""
        ...

    def follow(self, listener: Callable[[str | None], None]) -> None:
        """Have the listener told which server something changed for at another replica; None: maybe for any."""
        ...

    async def start(self) -> None:
        """Begin to hear of others."""
        ...

    async def ping(self) -> None:
        """Raise when it does not serve."""
        ...

    async def close(self) -> None:
        """Let go of it, and of every server that is claimed."""
        ...


class MemoryStore:
    """In this process only: a restart begins with what the configuration file declares."""

    kind = "memory"

    def __init__(self) -> None:
        self._wanted: dict[str, Wanted] = {}

    async def load(self) -> dict[str, Wanted]:
        return dict(self._wanted)

    async def put(self, wanted: Wanted, *, replacing: Wanted | None) -> bool:
        if self._wanted.get(wanted.id) != replacing:
            return False
        await self._keep({**self._wanted, wanted.id: wanted})
        return True

    async def remove(self, server_id: str) -> bool:
        if server_id not in self._wanted:
            return False
        await self._keep({key: value for key, value in self._wanted.items() if key != server_id})
        return True

    # There are no others: every server is ours, and nobody wants to be told.

    async def claim(self, server_id: str) -> Claim | None:  # noqa: ARG002
        return None

    async def release(self, server_id: str) -> None:  # noqa: ARG002
        return

    async def tell(self, server_id: str, told: Told) -> None:  # noqa: ARG002
        return

    async def told(self, server_id: str) -> Told | None:  # noqa: ARG002
        return None

    def follow(self, listener: Callable[[str | None], None]) -> None:  # noqa: ARG002
        return

    async def start(self) -> None:
        return

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return

    async def _keep(self, wanted: dict[str, Wanted]) -> None:
        self._wanted = wanted


class FileStore(MemoryStore):
    """A JSON file that only its owner may read: it holds the settings of servers, secrets among them."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        self._wanted = await asyncio.to_thread(self._read)

    async def put(self, wanted: Wanted, *, replacing: Wanted | None) -> bool:
        async with self._writing:
            return await super().put(wanted, replacing=replacing)

    async def remove(self, server_id: str) -> bool:
        async with self._writing:
            return await super().remove(server_id)

    async def ping(self) -> None:
        if not os.access(self._path.parent, os.W_OK):
            raise StoreError(
                f"MCP_GATEWAY_STATE={str(self._path)!r} cannot be written: name a file in a folder of yours"
            )

    async def _keep(self, wanted: dict[str, Wanted]) -> None:
        # To the end even when the caller is gone, so that memory and file say the same.
        await asyncio.shield(asyncio.create_task(self._write_then_keep(wanted)))

    async def _write_then_keep(self, wanted: dict[str, Wanted]) -> None:
        await asyncio.to_thread(self._write, list(wanted.values()))
        self._wanted = wanted

    def _read(self) -> dict[str, Wanted]:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=list[Wanted])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"MCP_GATEWAY_STATE={str(self._path)!r} cannot be read: {error}. Move it away to begin anew."
            ) from None
        return {wanted.id: wanted for wanted in found}

    def _write(self, wanted: list[Wanted]) -> None:
        text = msgspec.json.format(msgspec.json.encode(wanted), indent=1)
        temporary = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # A file of mkstemp's is readable by its owner only.
            handle, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            told = f"MCP_GATEWAY_STATE={str(self._path)!r} cannot be written: {error.strerror}"
            raise StoreError(f"{told}. {_REMEDY}") from None
