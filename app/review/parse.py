"""The output of `pulumi preview --json`, decoded. Names follow the engine's PreviewDigest."""

from collections.abc import Mapping
from typing import Any

import msgspec


class UnreadablePreview(ValueError):
    """The text is not a preview; the message says what it is instead, and what to do."""


class State(msgspec.Struct, rename="camel"):
    """A resource, before or after."""

    type: str = ""
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    protect: bool = False
    retain_on_delete: bool = False


class PropertyDiff(msgspec.Struct, rename="camel"):
    """How one property differs: add, delete or update, each also as `…-replace`."""

    kind: str
    input_diff: bool = False


class Step(msgspec.Struct, rename="camel"):
    """One thing that the engine would do. A replacement is several steps with one URN."""

    op: str
    urn: str
    old_state: State | None = None
    new_state: State | None = None
    diff_reasons: list[str] | None = None
    replace_reasons: list[str] | None = None
    detailed_diff: dict[str, PropertyDiff] | None = None


class Diagnostic(msgspec.Struct):
    """Something that the engine or the program said."""

    urn: str = ""
    severity: str = ""


class Preview(msgspec.Struct, rename="camel"):
    """Everything that an update would do, in order."""

    config: dict[str, str] | None = None
    steps: list[Step] | None = None
    diagnostics: list[Diagnostic] | None = None
    change_summary: dict[str, int] | None = None

    @property
    def stack(self) -> str:
        """The stack's name, from the first URN; empty for a preview without steps."""
        return Urn(self.steps[0].urn).stack if self.steps else ""

    @property
    def failed_for(self) -> list[str]:
        """The names of the resources that the program failed on; empty strings for the program itself."""
        return [Urn(item.urn).name for item in self.diagnostics or [] if item.severity == "error"]


class Urn:
    """`urn:pulumi:<stack>::<project>::<types of the parents, and its own>::<name>`."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The name comes last and may hold anything, `::` too.
        head, *rest = text.removeprefix("urn:pulumi:").split("::", 3)
        self.stack = head if rest else ""
        types = rest[1] if len(rest) > 1 else ""
        self.parents, _, self.type = types.rpartition("$")
        self.name = rest[2] if len(rest) > 2 else text if text and not rest else ""

    @property
    def kind(self) -> str:
        """The last part of the type: `StatefulSet`."""
        return self.type.rsplit(":", 1)[-1]


def parse(text: bytes) -> Preview:
    """A preview, or UnreadablePreview with what is wrong and what to do."""
    if not text.strip():
        raise UnreadablePreview("the file is empty: did `pulumi preview --json` fail before it could write?")
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise UnreadablePreview(_not_json(text, problem)) from None
    if not isinstance(document, Mapping) or not document.keys() & {"steps", "changeSummary"}:
        raise UnreadablePreview(
            "it is JSON, but no preview: there are neither `steps` nor a `changeSummary`; "
            "write the file with `pulumi preview --json > preview.json`"
        )
    try:
        return msgspec.convert(document, Preview)
    except msgspec.ValidationError as problem:
        raise UnreadablePreview(f"it does not look like a preview of Pulumi 3: {problem}") from None


def _not_json(text: bytes, problem: msgspec.DecodeError) -> str:
    first = text.lstrip().split(b"\n", 1)[0]
    try:
        event = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return f"it is not JSON ({problem}); write it with `pulumi preview --json > preview.json`, without 2>&1"
    if isinstance(event, Mapping) and "sequence" in event:
        return "it is a stream of events; unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW and preview again"
    return f"something follows the JSON ({problem}); write it with `pulumi preview --json > preview.json`, without 2>&1"
