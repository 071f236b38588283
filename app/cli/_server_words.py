"""Words of `slipway servers start` that have a form of their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_KINDS = {"npm": "npx", "npx": "npx", "pypi": "uv", "uv": "uv", "uvx": "uv"}


class WordError(ValueError):
    """A word that is not understood; the message says how to write it."""


def package_of(word: str | None) -> tuple[str | None, str | None, str | None]:
    """Type, name and version of `npm:@scope/name@1.2`; a scope alone says that it is npm's."""
    if word is None:
        return None, None, None
    prefix, colon, rest = word.partition(":")
    if not colon:
        prefix, rest = ("npm", word) if word.startswith("@") else ("", word)
    kind = _KINDS.get(prefix)
    if kind is None:
        raise WordError(f"--package={word!r} does not say which registry: write npm:{rest} or pypi:{rest}")
    name, at, version = rest[1:].partition("@") if rest.startswith("@") else rest.partition("@")
    if not at and "==" in rest:
        name, at, version = rest.partition("==")
    name = f"@{name}" if rest.startswith("@") else name
    if not name.strip("@") or (at and not version):
        raise WordError(f"--package={word!r} is not complete: write {prefix}:name or {prefix}:name@version")
    return kind, name, version or None


def environment_of(pairs: Iterable[str], file: Path | None) -> dict[str, str]:
    """Variables from words and a file; a word wins. No message shows a value."""
    found: dict[str, str] = {}
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise WordError(f"--env-file={str(file)!r} cannot be read: {error}") from None
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                name, equals, value = line.partition("=")
                if not equals or not name.strip():
                    raise WordError(f"line {number} of {file} is no variable: write NAME=VALUE")
                found[name.strip()] = value
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise WordError(f"--env {name[:80]!r} has no value: write NAME=VALUE, or put it in --env-file")
        found[name] = value
    return found


def secrets_of(pairs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Variables by the Secret and the key that their values are at."""
    found: dict[str, dict[str, str]] = {}
    for pair in pairs:
        name, equals, where = pair.partition("=")
        secret, slash, key = where.partition("/")
        if not (name and equals and secret and slash and key):
            raise WordError(f"--secret-env {pair!r} names no key of a Secret: write NAME=SECRET/KEY")
        found[name] = {"secret": secret, "key": key}
    return found


def options_for(fields: Iterable[str]) -> list[str]:
    """How what is wrong in these fields is given on the command line."""
    hints: list[str] = []
    variables: list[str] = []
    for field in fields:
        kind, _, name = field.partition(".")
        if kind in ("environment", "secretEnvironment") and name:
            variables.append(name)
        elif kind.partition("[")[0] == "allowedPaths":
            hints.append("Here: --allowed-path /a/folder, once for each.")
    if variables:
        words = " ".join(f"{name}=…" for name in variables)
        hints.append(f"Here: --env-file with a file of the lines {words}, or --env for what is no secret.")
    return hints
