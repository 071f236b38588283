"""npm and uv as programs: run without a shell, with a deadline, and ended with all that they started."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_SHOWN = 1500


class InstallError(Exception):
    """A package could not be installed, or is not the one that was pinned; the message says why."""


class InstallRefused(InstallError):
    """It may not run, or is not what was pinned: trying again changes nothing."""


class Clients:
    """Runs the clients of the registries with an environment of their own."""

    def __init__(self, environment: Mapping[str, str], *, seconds: float) -> None:
        self._environment = dict(environment)
        self._seconds = seconds

    def find(self, program: str, remedy: str) -> str:
        """The path of a program. Raises `InstallError` with the remedy."""
        found = shutil.which(program, path=self._environment.get("PATH", os.defpath))
        if found is None:
            raise InstallError(f"{program} is not on PATH: {remedy}")
        return found

    async def run(self, command: Sequence[str], folder: Path, what: str, **more: str) -> None:
        """Run a client in a folder. Raises `InstallError` with what it said."""
        said = folder / "client.log"
        with said.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env={**self._environment, **more},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(self._seconds):
                status = await process.wait()
        except TimeoutError:
            raise InstallError(f"{what} took more than {self._seconds:.0f} s: try again, or allow more time") from None
        finally:
            # What it started and left behind goes as well, whether it ended well or was cut off.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.returncode is None:
                await asyncio.shield(process.wait())
        if status:
            raise InstallError(f"{what} failed: {_tail(said)}")


def _tail(log: Path) -> str:
    text = log.read_text("utf-8", "replace").strip()
    printable = "".join(character if character.isprintable() or character == "\n" else "?" for character in text)
    return printable[-_SHOWN:] or "it said nothing"
