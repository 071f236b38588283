"""Agent skills: directories with a `SKILL.md`, served as resources and listed with their digests."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

from msgspec import UNSET

from app.protocol.content import ResourceContents, ResourceDefinition, ResourceResult
from app.protocol.context import CallContext

MAIN = "SKILL.md"
DIRECTORY = "inode/directory"
MAX_FILES = 512
MAX_BYTES = 16 * 1024 * 1024

_NAME = re.compile(r"(?!.{65})[a-z0-9]+(-[a-z0-9]+)*")
_FRONTMATTER = re.compile(r"\ufeff?---\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", re.DOTALL)


class SkillFile:
    """One file of a skill, as a resource."""

    def __init__(self, definition: ResourceDefinition, data: bytes) -> None:
        self.definition = definition
        self.digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.size = len(data)
        self._contents = _contents(definition, data)

    async def read(self, uri: str, context: CallContext) -> ResourceResult:  # noqa: ARG002
        """The file."""
        return ResourceResult(contents=[self._contents])


class Skill:
    """One skill; `path` is where it is served: `git-workflow`, or `acme/billing/refunds`."""

    def __init__(self, path: str, files: Mapping[str, bytes]) -> None:
        if MAIN not in files:
            raise ValueError(f"Skill '{path}' has no {MAIN}: add one that begins with a name and a description.")
        if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
            raise ValueError(f"Skill '{path}' is too large: at most {MAX_FILES} files and {MAX_BYTES} bytes together.")
        self.root = f"skill://{path}"
        self.uri = f"{self.root}/{MAIN}"
        self.frontmatter = _frontmatter(path, files[MAIN])
        self.files = [self._file(name, files[name]) for name in sorted(files, key=lambda name: (name != MAIN, name))]
        self.directories = _directories(self.root, self.files)

    @classmethod
    def from_directory(cls, directory: Path, path: str | None = None) -> Skill:
        """The skill in a directory, hidden files left out."""
        found = {
            file.relative_to(directory).as_posix(): file.read_bytes()
            for file in sorted(directory.rglob("*"))
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(directory).parts)
        }
        return cls(path or directory.name, found)

    @property
    def entry(self) -> dict[str, Any]:
        """The skill as `skills/list` shows it."""
        files = [{"uri": file.definition.uri, "digest": file.digest, "size": file.size} for file in self.files]
        return {"uri": self.uri, "frontmatter": self.frontmatter, "resources": files}

    def __repr__(self) -> str:
        return f"<skill {self.uri}>"

    def _file(self, name: str, data: bytes) -> SkillFile:
        main = name == MAIN
        definition = ResourceDefinition(
            uri=f"{self.root}/{name}",
            name=self.frontmatter["name"] if main else PurePosixPath(name).name,
            description=self.frontmatter["description"] if main else UNSET,
            mime_type=_mime_type(name),
            size=len(data),
        )
        return SkillFile(definition, data)


def _frontmatter(path: str, data: bytes) -> dict[str, Any]:
    import yaml

    matched = _FRONTMATTER.match(data.decode())
    if matched is None:
        raise ValueError(f"Skill '{path}': {MAIN} must begin with YAML between two lines of '---'.")
    found = cast("object", yaml.safe_load(matched[1]))
    said = cast("dict[str, Any]", found if isinstance(found, dict) else {})
    for field in ("name", "description"):
        if not isinstance(said.get(field), str) or not said[field]:
            raise ValueError(f"Skill '{path}': {MAIN} must say its '{field}', as text.")
    if said["name"] != path.rpartition("/")[2]:
        raise ValueError(f"Skill '{path}': its name is '{said['name']}'; make it the last part of its path.")
    if _NAME.fullmatch(said["name"]) is None:
        raise ValueError(f"Skill '{path}': its name must be 1 to 64 of a-z, 0-9 and single hyphens between them.")
    return said


def _directories(root: str, files: list[SkillFile]) -> dict[str, list[ResourceDefinition]]:
    """The children of every directory of the skill, its root included."""
    found: dict[str, dict[str, ResourceDefinition]] = {root: {}}
    for file in files:
        here = root
        *parents, name = file.definition.uri.removeprefix(f"{root}/").split("/")
        for parent in parents:
            below = f"{here}/{parent}"
            found[here].setdefault(parent, ResourceDefinition(uri=below, name=parent, mime_type=DIRECTORY))
            here = below
            found.setdefault(here, {})
        found[here][name] = file.definition
    return {uri: list(children.values()) for uri, children in found.items()}


def _mime_type(name: str) -> str:
    if name.endswith(".md"):
        return "text/markdown"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _contents(definition: ResourceDefinition, data: bytes) -> ResourceContents:
    try:
        return ResourceContents(uri=definition.uri, mime_type=definition.mime_type, text=data.decode())
    except UnicodeDecodeError:
        blob = base64.b64encode(data).decode()
        return ResourceContents(uri=definition.uri, mime_type=definition.mime_type, blob=blob)
