"""The summary of a preview, as Markdown for a pull request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.review import paths
from app.review.changes import Action, Change, Difference, gather
from app.review.markdown import code, comment_safe
from app.review.masking import Masking
from app.review.parse import Preview, parse
from app.review.rules import ALLOW_KEY, Finding, judge

# A comment on GitHub holds 65,536 characters.
_MOST_OBJECTS = 60
_MOST_PROPERTIES = 8
_TITLES: dict[Action, str] = {"replaced": "Replaced", "deleted": "Deleted", "changed": "Changed", "added": "Added"}


@dataclass(frozen=True, kw_only=True)
class Review:
    """The summary, and what it says: `failed` previews are incomplete, `blocked` ones lose data without allowance."""

    markdown: str
    blocked: bool
    failed: bool


def review(text: bytes, *, allow: Iterable[str] = (), title: str | None = None) -> Review:
    """Read the output of `pulumi preview --json`. Raises UnreadablePreview."""
    preview = parse(text)
    changes = gather(preview)
    findings, unused = judge(preview, changes, allow)
    lines = _lines(preview, changes, findings, unused, title or preview.stack)
    return Review(
        markdown="\n".join(lines) + "\n",
        blocked=any(not finding.allowed for finding in findings),
        failed=bool(preview.failed_for),
    )


def _lines(
    preview: Preview, changes: list[Change], findings: list[Finding], unused: list[str], title: str
) -> Iterator[str]:
    # A workflow finds its own comment of an earlier run by this line.
    yield f"<!-- slipway-review:{comment_safe(title)} -->"
    yield f"## Preview of {code(title)}" if title else "## Preview"
    yield ""
    if preview.failed_for:
        names = ", ".join(code(name) if name else "the program" for name in dict.fromkeys(preview.failed_for))
        yield f"**The preview failed** at {names}; the changes below are incomplete. The log of the run says why."
        yield ""
    yield _counts(preview, changes)
    yield ""
    yield from _warnings(findings, unused)
    masking = Masking(preview)
    for action in _TITLES:
        yield from _section(action, [change for change in changes if change.action == action], masking)


def _counts(preview: Preview, changes: list[Change]) -> str:
    counted = {action: sum(change.action == action for change in changes) for action in _TITLES}
    unchanged = (preview.change_summary or {}).get("same", 0)
    if not changes:
        return f"No changes; {unchanged} objects stay as they are."
    order: tuple[Action, ...] = ("added", "changed", "replaced", "deleted")
    told = ", ".join(f"**{counted[action]}** {action}" for action in order)
    return f"{told}, {unchanged} unchanged."


def _warnings(findings: list[Finding], unused: list[str]) -> Iterator[str]:
    blocked = [finding for finding in findings if not finding.allowed]
    allowed = [finding for finding in findings if finding.allowed]
    if blocked:
        yield "### Data would be lost"
        yield ""
        yield from (_finding(finding) for finding in blocked)
        yield ""
        yield (
            f"To allow one, name it in the stack's configuration (`pulumi config set {ALLOW_KEY} <name>`, several with "
            "commas between), or run `slipway review --allow <name>`. Back up first."
        )
        yield ""
    if allowed:
        yield "### Data would be lost, and that is allowed"
        yield ""
        yield from (_finding(finding) for finding in allowed)
        yield ""
    if unused:
        yield f"Allowed, but not needed: {', '.join(code(name) for name in unused)}. Take it out again."
        yield ""


def _finding(finding: Finding) -> str:
    change = finding.change
    causes = f" because of {_listed(change.causes)}" if change.action == "replaced" and change.causes else ""
    return f"- {code(change.label)} would be {change.action}{causes}: {finding.why}."


def _section(action: Action, changes: list[Change], masking: Masking) -> Iterator[str]:
    if not changes:
        return
    folded = action in ("added", "changed")
    yield (
        f"<details><summary>{_TITLES[action]} ({len(changes)})</summary>"
        if folded
        else (f"### {_TITLES[action]} ({len(changes)})")
    )
    yield ""
    for change in changes[:_MOST_OBJECTS]:
        yield from _object(change, masking)
    if len(changes) > _MOST_OBJECTS:
        yield f"- … and {len(changes) - _MOST_OBJECTS} more"
    yield ""
    if folded:
        yield "</details>"
        yield ""


def _object(change: Change, masking: Masking) -> Iterator[str]:
    told = f"- {code(change.label)}"
    if change.action == "replaced":
        told += f": because of {_listed(change.causes)}" if change.causes else ": with an object that it depends on"
    yield told
    for difference in change.differences[:_MOST_PROPERTIES]:
        yield f"  - {_difference(change, difference, masking)}"
    if len(change.differences) > _MOST_PROPERTIES:
        yield f"  - … and {len(change.differences) - _MOST_PROPERTIES} more properties"


def _difference(change: Change, difference: Difference, masking: Masking) -> str:
    before = (change.old.inputs if change.old else None) or {}
    after = (change.new.inputs if change.new else None) or {}
    old = code(masking.shown(change.urn.text, difference.path, before, difference.old))
    new = code(masking.shown(change.urn.text, difference.path, after, difference.new))
    name = code(paths.join(difference.path))
    mark = " (replaces)" if difference.replaces else ""
    match difference.kind:
        case "add":
            return f"{name}: added {new}{mark}"
        case "delete":
            return f"{name}: removed {old}{mark}"
        case "update":
            return f"{name}: {old} → {new}{mark}"


def _listed(causes: tuple[str, ...]) -> str:
    shown = ", ".join(code(cause) for cause in causes[:_MOST_PROPERTIES])
    return shown + (" and more" if len(causes) > _MOST_PROPERTIES else "")
