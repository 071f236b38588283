"""What is not on the lists of allowed operators, and why, where there is something to say."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from app.toolsets.documents.errors import Refused

_CODE = "it runs code on the database"
_WRITES = "it writes; use insert, update or delete"
_READS_OTHERS = "it reads other collections; ask for each with find"
_WHY = {
    "$where": _CODE,
    "$function": _CODE,
    "$accumulator": _CODE,
    "$out": _WRITES,
    "$merge": _WRITES,
    "$lookup": _READS_OTHERS,
    "$graphLookup": _READS_OTHERS,
    "$unionWith": _READS_OTHERS,
}


def not_allowed(name: str, what: str, where: str, allowed: Iterable[str]) -> Refused:
    """The error for an operator, stage or option that is not on its list."""
    known = list(allowed)
    why = f": {_WHY[name]}" if name in _WHY else ""
    near = (
        ""
        if why
        else "".join(f" Did you mean {one}?" for one in difflib.get_close_matches(name, known, n=1, cutoff=0.75))
    )
    return Refused(f"{where} has {name[:80]}, which is not an allowed {what}{why}.{near} Use {', '.join(known)}.")
