"""Our own way to say where packages come from: the same few lines in a file, or in a variable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

_FILE = "MCP_PACKAGE_REGISTRIES_FILE"
TEXT = "MCP_PACKAGE_REGISTRIES"


class RegistriesError(ValueError):
    """A file or variable that says where packages come from cannot be used; the message names it and the remedy."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One registry. What it is asked with is elsewhere, and named here."""

    url: str
    scopes: tuple[str, ...] = ()
    username: str | None = None
    token_file: str | None = None
    token_variable: str | None = None


class _Declaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    npm: tuple[Entry, ...] = ()
    pypi: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What was said, and where, for messages."""

    where: str
    npm: tuple[Entry, ...] = ()
    pypi: tuple[Entry, ...] = ()

    @property
    def token_variables(self) -> set[str]:
        """Where tokens are."""
        return {entry.token_variable for entry in (*self.npm, *self.pypi) if entry.token_variable}

    def for_pods(self) -> str:
        """The same as a variable's value, for programs that have their tokens in variables too."""
        for kind, entries in (("npm", self.npm), ("pypi", self.pypi)):
            for index, entry in enumerate(entries):
                if entry.token_file is not None:
                    raise RegistriesError(
                        f"{self.where}: {kind}[{index}].tokenFile={entry.token_file!r} is not there in the pods of "
                        "servers: name a tokenVariable, and give it as a key of the Secret MCP_POD_ENVIRONMENT_SECRET"
                    )
        return msgspec.json.encode(_Declaration(npm=self.npm, pypi=self.pypi)).decode()


def declared_registries(*, text: str | None = None, file: Path | None = None) -> Declared | None:
    """What the one or the other says; None without either. Raises `RegistriesError`."""
    if text is not None and file is not None:
        raise RegistriesError(f"{TEXT} and {_FILE}={str(file)!r} are both set, and only one is read: unset the other")
    if file is not None:
        try:
            return _read(file.read_text("utf-8"), f"{_FILE}={str(file)!r}", str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise RegistriesError(f"{_FILE}={str(file)!r} cannot be read: {error}") from None
    return None if text is None else _read(text, TEXT, TEXT)


def _read(text: str, source: str, where: str) -> Declared:
    import yaml

    try:
        said = msgspec.convert(yaml.safe_load(text) or {}, _Declaration)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise RegistriesError(f"{source} is wrong: {error}") from None
    return Declared(where, said.npm, said.pypi)
