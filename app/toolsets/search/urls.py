"""Addresses of results: without what follows people around, and comparable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.toolsets.search.domains import ascii_host

_TRACKING = re.compile(
    r"(utm_\w+|hsa_\w+|mtm_\w+|pk_\w+|_hs(enc|mi)|gclid|gclsrc|gbraid|wbraid|dclid|fbclid|msclkid|yclid|ysclid|twclid"
    r"|ttclid|igshid|igsh|li_fat_id|mc_[ce]id|mkt_tok|oly_(anon|enc)_id|vero_(conv|id)|wickedid|_openstat|s_cid|srsltid)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
MAX_URL = 2048


@dataclass(frozen=True, slots=True)
class CleanUrl:
    """An address to show, its host, and what is equal for two addresses of the same page."""

    url: str
    host: str
    key: str


def clean(url: str) -> CleanUrl | None:
    """The address without tracking parameters; None where it is no plain web address."""
    url = url.strip()
    if len(url) > MAX_URL or _HIDDEN.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    host = ascii_host(parts.hostname)
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        netloc = f"{netloc}:{port}"
    query = _without_tracking(parts.query)
    fragment = "" if parts.fragment.startswith(":~:") else parts.fragment
    shown = urlunsplit((parts.scheme, netloc, parts.path or "/", query, fragment))
    compared = urlencode(sorted(parse_qsl(query, keep_blank_values=True)))
    key = f"{netloc.removeprefix('www.')}{parts.path.rstrip('/')}?{compared}"
    return CleanUrl(shown, host, key)


def _without_tracking(query: str) -> str:
    kept = [part for part in query.split("&") if part and not _TRACKING.fullmatch(part.partition("=")[0])]
    return "&".join(kept)
