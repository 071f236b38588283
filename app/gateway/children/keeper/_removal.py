"""A child's private directory, removed by the last that is there to do it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def remove(directory: str) -> None:
    """Delete a child's private directory, and what it made unwritable in it as well."""
    if not directory:
        return
    for parent, folders, files in os.walk(directory, topdown=True):
        for folder in folders:
            _try(os.chmod, f"{parent}/{folder}", 0o700)
        for file in files:
            _try(os.unlink, f"{parent}/{file}")
    for parent, folders, files in os.walk(directory, topdown=False):
        for name in (*files, *folders):
            path = f"{parent}/{name}"
            _try(os.unlink if os.path.islink(path) else os.rmdir, path)
    _try(os.rmdir, directory)


def _try(change: Callable[..., object], *arguments: object) -> None:
    try:
        change(*arguments)
    except OSError:
        pass  # what cannot be removed is left; nobody is there to be told
