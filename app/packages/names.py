"""Names, versions, arguments and variables: what may be one. Nothing that passes can become an option or shell text."""

from __future__ import annotations

import re
from typing import Literal

Ecosystem = Literal["npm", "pypi"]

_NPM_PART = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9_])?"
_NPM = re.compile(rf"(?:@{_NPM_PART}/)?{_NPM_PART}")
_PYPI = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NOT_NAMES = frozenset({"node_modules", "favicon.ico"})
_NPM_LENGTH = 214
_PYPI_LENGTH = 100
_VERSION_LENGTH = 64
# Strict semantic versions, and the normal forms of PEP 440 without a local part.
_NPM_VERSION = re.compile(r"(0|[1-9]\d{0,14})(\.(0|[1-9]\d{0,14})){2}(-[0-9A-Za-z.-]{1,40})?(\+[0-9A-Za-z.-]{1,40})?")
_PYPI_VERSION = re.compile(r"(\d{1,9}!)?\d{1,15}(\.\d{1,15}){0,5}((a|b|rc)\d{1,9})?(\.post\d{1,9})?(\.dev\d{1,9})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# Each of these would change which program runs, or what it loads, behind the back of policy and pin.
_LOADERS = re.compile(
    r"PATH|SHELL|SHELLOPTS|BASHOPTS|BASH_ENV|ENV|IFS|PS4|LD_.*|DYLD_.*|GCONV_PATH|NODE_OPTIONS|NODE_PATH|NODE_REPL_.*"
    r"|NODE_EXTRA_CA_CERTS|PYTHON(PATH|HOME|STARTUP|USERBASE|INSPECT|BREAKPOINT|EXECUTABLE|PLATLIBDIR|WARNINGS)"
    r"|NPM_CONFIG_.*|NPM_EXECPATH|UV|UV_.*|PIP_.*|VIRTUAL_ENV|GIT_SSH.*|GIT_EXEC_PATH|PERL5(LIB|OPT)|RUBY(LIB|OPT)"
    r"|SSL_CERT_(FILE|DIR)|SLIPWAY_.*",
    re.IGNORECASE,
)
# git+https://…, file:…, user/repository, @ https://…: what npm and pip take beside names and ranges.
_ADDRESS = re.compile(r"://|^(git|file|link|workspace|github|gitlab|bitbucket|gist)[:@+]|^[\w.-]+/[\w.-]+")
_ARGUMENT_LENGTH = 8192
_VALUE_LENGTH = 32 * 1024


class NotAllowedText(ValueError):
    """A text that may not be what it is given as; the message says why and what would be right."""


def package_name(ecosystem: Ecosystem, text: str) -> str:
    """A name in its normal form. Addresses, paths, aliases, extras and versions are refused: a name is a name."""
    return _npm_name(text) if ecosystem == "npm" else _pypi_name(text)


def package_version(ecosystem: Ecosystem, text: str) -> str:
    """One exact version. Ranges and tags are refused: what runs is what was named."""
    pattern, like = (_NPM_VERSION, "1.2.3") if ecosystem == "npm" else (_PYPI_VERSION, "1.2.3 or 1.0rc1")
    if len(text) <= _VERSION_LENGTH and pattern.fullmatch(text):
        return text
    raise NotAllowedText(
        f"{shown(text)} is not one exact version: write it like {like}, or leave it out for the newest that is allowed"
    )


def reference(text: str) -> tuple[Ecosystem, str, str | None]:
    """`npm:@scope/name@1.2.3` or `pypi:name==1.2.3` in parts; the version may be left out."""
    ecosystem, colon, rest = text.partition(":")
    if not colon or ecosystem not in ("npm", "pypi"):
        raise NotAllowedText(f"{shown(text)} says no registry: write npm:name or pypi:name")
    if ecosystem == "npm":
        at = rest.find("@", 1)
        name, version = (rest, None) if at < 0 else (rest[:at], rest[at + 1 :])
        return "npm", _npm_name(name), None if version is None else package_version("npm", version)
    name, equals, version = rest.partition("==")
    return "pypi", _pypi_name(name), package_version("pypi", version) if equals else None


def bin_name(text: str) -> str:
    """The name of a program that a package brings."""
    if len(text) <= _NPM_LENGTH and _PYPI.fullmatch(text):
        return text
    raise NotAllowedText(f"{shown(text)} is not the name of a program: letters, digits, '.', '_' and '-'")


def argument(text: str) -> str:
    """One argument of a server. It may begin with a dash: it comes where only the server reads it."""
    if len(text) > _ARGUMENT_LENGTH:
        raise NotAllowedText(f"has {len(text)} characters: at most {_ARGUMENT_LENGTH} are passed")
    if bad := _unprintable(text):
        raise NotAllowedText(f"{shown(text)} has the character {bad}: arguments are printable text")
    return text


def variable_name(text: str) -> str:
    """The name of an environment variable that a server may be given."""
    if not _VARIABLE.fullmatch(text):
        raise NotAllowedText(f"{shown(text)} is not the name of a variable: letters, digits and '_', no digit first")
    if _LOADERS.fullmatch(text):
        raise NotAllowedText(f"{text} decides which programs are loaded, and cannot be set for a server: leave it out")
    return text


def variable_value(text: str) -> str:
    """The value of an environment variable. It is never repeated in the message: it may be a secret."""
    if len(text) > _VALUE_LENGTH:
        raise NotAllowedText(f"has {len(text)} characters: at most {_VALUE_LENGTH} are passed")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise NotAllowedText("has a NUL or half of a character, which no program can be given")
    return text


def is_address(wanted: str) -> bool:
    """Whether a dependency is asked for by an address, where a range should be: it comes from no registry."""
    return _ADDRESS.search(wanted) is not None


def shown(text: str) -> str:
    """A text as an error shows it: short, and with nothing that a terminal would obey."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _npm_name(text: str) -> str:
    if len(text) <= _NPM_LENGTH and _NPM.fullmatch(text) and text not in _NOT_NAMES:
        return text
    raise NotAllowedText(f"{shown(text)} is not the name of an npm package: {_why(text)}write name or @scope/name")


def _pypi_name(text: str) -> str:
    if len(text) <= _PYPI_LENGTH and _PYPI.fullmatch(text):
        return re.sub(r"[-_.]+", "-", text).lower()
    raise NotAllowedText(f"{shown(text)} is not the name of a PyPI package: {_why(text)}write just the name")


def _why(text: str) -> str:
    """What it looks like instead, where that helps."""
    if text.startswith("-"):
        return "it would be read as an option; "
    if "://" in text or text.startswith(("git+", "git@", "github:", "file:", "npm:", ".", "/", "~")) or " @ " in text:
        return "addresses, files and aliases are not run; "
    if "[" in text:
        return "extras are not taken; "
    if "@" in text[1:] or "=" in text or "<" in text or ">" in text:
        return "its version belongs into the field for it; "
    if text != text.lower() and _NPM.fullmatch(text.lower()):
        return "it has capital letters; "
    return ""


def _unprintable(text: str) -> str:
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff":
            return f"U+{ord(character):04X}"
    return ""
