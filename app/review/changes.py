"""Steps of a preview, gathered to one change for every resource."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.review import paths
from app.review.parse import Preview, State, Step, Urn

Action = Literal["added", "changed", "replaced", "deleted"]

_REPLACING = {"replace", "create-replacement", "delete-replaced", "import-replacement", "read-replacement"}
_ACTIONS: dict[str, Action] = {"create": "added", "import": "added", "update": "changed", "delete": "deleted"}
# The API server refuses an update of these, whatever the plugin calls it: only a new object can have the new value.
_IMMUTABLE = {
    "StatefulSet": (
        ("spec", "volumeClaimTemplates"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
    ),
    "PersistentVolumeClaim": (("spec",),),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property that differs, and whether that is why the object is replaced."""

    path: tuple[paths.Part, ...]
    kind: Literal["add", "delete", "update"]
    replaces: bool
    old: Any
    new: Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would happen to one resource."""

    urn: Urn
    action: Action
    old: State | None
    new: State | None
    differences: tuple[Difference, ...]
    # What the engine itself names as the reason of a replacement.
    reasons: tuple[str, ...]

    @property
    def label(self) -> str:
        """`StatefulSet/redis`."""
        return f"{self.urn.kind}/{self.urn.name}"

    @property
    def causes(self) -> tuple[str, ...]:
        """The properties that cause a replacement."""
        found = [paths.join(difference.path) for difference in self.differences if difference.replaces]
        return tuple(found) or self.reasons


def gather(preview: Preview) -> list[Change]:
    """Every resource that would not stay as it is, in the order of the preview."""
    by_urn: dict[str, list[Step]] = {}
    for step in preview.steps or []:
        by_urn.setdefault(step.urn, []).append(step)
    changes = (_change(Urn(urn), steps) for urn, steps in by_urn.items())
    return [change for change in changes if change is not None]


def _change(urn: Urn, steps: list[Step]) -> Change | None:
    replacing = [step for step in steps if step.op in _REPLACING]
    known = [step for step in steps if step.op in _ACTIONS]
    if not replacing and not known:
        return None
    old = next((step.old_state for step in steps if step.old_state is not None), None)
    new = next((step.new_state for step in steps if step.new_state is not None and step.op != "delete"), None)
    action: Action = "replaced" if replacing else _ACTIONS[known[-1].op]
    differences = tuple(_differences(urn, steps, old, new)) if action in ("changed", "replaced") else ()
    if action == "changed" and any(difference.replaces for difference in differences):
        action = "replaced"
    reasons = dict.fromkeys(reason for step in replacing for reason in step.replace_reasons or [])
    return Change(urn=urn, action=action, old=old, new=new, differences=differences, reasons=tuple(reasons))


def _differences(urn: Urn, steps: Iterable[Step], old: State | None, new: State | None) -> Iterator[Difference]:
    detailed = next((step.detailed_diff for step in steps if step.detailed_diff), None)
    inputs_before = (old.inputs if old else None) or {}
    inputs_after = (new.inputs if new else None) or {}
    if detailed is None:
        for path in paths.differences(inputs_before, inputs_after):
            before, after = paths.at(inputs_before, path), paths.at(inputs_after, path)
            kind = "add" if before is None else "delete" if after is None else "update"
            yield Difference(path=path, kind=kind, replaces=_immutable(urn, path), old=before, new=after)
        return
    for text, diff in detailed.items():
        path = paths.split(text)
        kind = diff.kind.removesuffix("-replace")
        yield Difference(
            path=path,
            kind=kind if kind in ("add", "delete") else "update",
            replaces=diff.kind.endswith("-replace") or _immutable(urn, path),
            old=_before(path, old, inputs_only=diff.input_diff),
            new=paths.at(inputs_after, path),
        )


def _before(path: tuple[paths.Part, ...], old: State | None, *, inputs_only: bool) -> Any:
    if old is None:
        return None
    found = paths.at(old.inputs or {}, path)
    return found if found is not None or inputs_only else paths.at(old.outputs or {}, path)


def _immutable(urn: Urn, path: tuple[paths.Part, ...]) -> bool:
    if not urn.type.startswith("kubernetes:"):
        return False
    return any(path[: len(start)] == start for start in _IMMUTABLE.get(urn.kind, ()))
