"""The name of a build: what exactly is in an image."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path


def build_id(repository: Path, now: datetime) -> str:
    """The short hash of the commit that is checked out in `repository`; a UTC timestamp outside git.

    A tree with changes is marked and told apart by what the changes are: `1a2b3c4-dirty-5d6e7f80`.
    """
    commit = _git(repository, "rev-parse", "--short", "HEAD")
    if commit is None:
        return now.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    name = commit.decode().strip()
    changes = sha256()
    changed = False
    for piece in _changes(repository):
        changes.update(piece)
        changed = changed or bool(piece)
    return f"{name}-dirty-{changes.hexdigest()[:8]}" if changed else name


def _changes(repository: Path) -> Iterator[bytes]:
    yield _git(repository, "diff", "HEAD", "--binary") or b""
    untracked = _git(repository, "ls-files", "--others", "--exclude-standard", "-z") or b""
    for name in sorted(part for part in untracked.split(b"\0") if part):
        yield name
        path = repository / name.decode(errors="surrogateescape")
        yield path.read_bytes() if path.is_file() else b""


def _git(repository: Path, *arguments: str) -> bytes | None:
    """What git answers, or None outside a repository, before its first commit and without git."""
    command = ["git", "-C", str(repository), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, timeout=30)  # noqa: S603 - git and its arguments
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
