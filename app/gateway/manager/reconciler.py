"""Has the servers run that the configuration file declares, and no others of it; reads it again when it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.gateway.manager.declaration import Declaration, DeclarationError, read_declaration
from app.gateway.manager.manager import Manager
from app.gateway.manager.model import ManagerError, Problem
from app.gateway.manager.naming import server_id
from app.gateway.manager.store import StoreError
from app.lifecycle import Amiss
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.configuration")

_MOST_BYTES = 8 * 1024 * 1024
Apply = Callable[[Declaration], Awaitable[None]]


async def _nothing(_declaration: Declaration) -> None:
    return


class Reconciler:
    """`apply` is called with every good declaration before its servers are looked at: for rules and virtual servers."""

    def __init__(self, manager: Manager, path: Path, *, apply: Apply = _nothing, every: float = 1.0) -> None:
        self.problems: tuple[str, ...] = ()
        """What is wrong with the file as it is now; what was good before it goes on."""
        self._manager = manager
        self._path = path
        self._apply = apply
        self._every = every
        self._mark: object = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Do what the file says, and follow it. Raises `DeclarationError` when it is wrong from the beginning."""
        self._mark = await asyncio.to_thread(self._look)
        await self._reconcile(await self._read())
        self._task = asyncio.create_task(self._follow(), name="configuration file")

    async def close(self) -> None:
        """Follow it no longer."""
        if self._task is not None:
            await stop([self._task])

    async def check(self) -> None:
        """For /ready: raise what is wrong with the file."""
        if self.problems:
            raise Amiss("; ".join(self.problems))

    async def _follow(self) -> None:
        """By its time, number and target: a ConfigMap's new version is a link that was swapped."""
        while True:
            await asyncio.sleep(self._every)
            mark = await asyncio.to_thread(self._look)
            if mark == self._mark:
                continue
            try:
                await self._reconcile(await self._read())
                self._mark = mark
                self.problems = ()
            except DeclarationError as error:
                self._mark = mark
                self._wrong([f"{self._path}: {problem}" for problem in error.problems])
            except StoreError as error:  # tried again at the next look
                self._wrong([str(error)])
            except Exception:
                self._mark = mark
                logger.exception("the configuration file could not be carried out")

    async def _read(self) -> Declaration:
        return read_declaration(str(self._path), await asyncio.to_thread(self._text))

    async def _reconcile(self, declaration: Declaration) -> None:
        await self._apply(declaration)
        wanted = {server_id(name): (name, spec) for name, spec in declaration.servers.items()}
        gone = self._manager.declared() - set(wanted)
        steps = [self._manager.withdraw(server) for server in sorted(gone)]
        steps += [self._manager.declare(name, spec) for name, spec in wanted.values()]
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, ManagerError):
                raise outcome
            if outcome is not None:
                logger.warning("a declared server was not taken up: %s", outcome)
        logger.info("configuration carried out", extra={"fields": {"servers": len(wanted), "removed": len(gone)}})

    def _wrong(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        for problem in problems:
            logger.error("the configuration is wrong, and what was good before goes on: %s", problem)

    def _look(self) -> object:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size, str(self._path.resolve())

    def _text(self) -> str:
        try:
            if self._path.stat().st_size > _MOST_BYTES:
                raise self._unreadable(f"is larger than {_MOST_BYTES} bytes")
            return self._path.read_text("utf-8")
        except OSError as error:
            raise self._unreadable(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self._unreadable("is no text in UTF-8") from None

    def _unreadable(self, reason: str) -> DeclarationError:
        return DeclarationError(str(self._path), [Problem(field="all of it", value="the file", remedy=reason)])
