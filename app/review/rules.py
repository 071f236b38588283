"""Which changes lose data, and which of those somebody has allowed."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.review.changes import Change
from app.review.parse import Preview

ALLOW_KEY = "review:allow"
# What goes with each kind when it goes.
_HOLDERS = {
    "StatefulSet": "its pods stop, and claims of another size or name hold none of the data",
    "PersistentVolumeClaim": "the volume, and what is on it, may be deleted with it",
    "PersistentVolume": "what is on it may be deleted with it",
    "Namespace": "everything in it is deleted with it",
    "CustomResourceDefinition": "every object of this kind in the cluster is deleted with it",
}
_STORES = ("slipway:redis:", "slipway:mongodb:", "slipway:mesh:")
# Inside a store these are what the data is opened with.
_KEYS_OF_STORES = ("Secret", "RandomPassword", "RandomBytes")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A change that would lose data: why, and whether it is allowed."""

    change: Change
    why: str
    allowed: bool


def loss(change: Change) -> str | None:
    """Why replacing or deleting this object loses data; None when it does not."""
    if change.action not in ("replaced", "deleted"):
        return None
    urn = change.urn
    if urn.type.startswith("kubernetes:") and urn.kind in _HOLDERS:
        return _HOLDERS[urn.kind]
    if urn.kind in _KEYS_OF_STORES and any(store in urn.parents for store in _STORES):
        return "the store was set up with these credentials: new ones do not open it by themselves"
    if change.old is not None and change.old.protect:
        return "it is protected"
    if change.old is not None and change.old.retain_on_delete:
        return "it is retained: the old object stays behind, and nothing manages it"
    return None


def judge(preview: Preview, changes: Iterable[Change], allow: Iterable[str]) -> tuple[list[Finding], list[str]]:
    """Every change that would lose data, and the allowances that nothing needed.

    An allowance is a URN, a name, or `Kind/name`: from the command line, or the stack's key `review:allow`.
    """
    allowances = dict.fromkeys((*allow, *_configured(preview)))
    findings: list[Finding] = []
    used: set[str] = set()
    for change in changes:
        why = loss(change)
        if why is None:
            continue
        names = {change.urn.text, change.urn.name, change.label} & allowances.keys()
        used |= names
        findings.append(Finding(change=change, why=why, allowed=bool(names)))
    return findings, [name for name in allowances if name not in used]


def _configured(preview: Preview) -> list[str]:
    value = (preview.config or {}).get(ALLOW_KEY, "")
    return [name for name in (part.strip(' "') for part in value.strip("[] ").split(",")) if name]
