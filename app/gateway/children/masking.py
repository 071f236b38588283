"""Secrets kept out of what a child says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "•••"
_SECRET_NAME = re.compile(
    r"key|token|secret|pass|pwd|credential|auth|cookie|session|private|dsn|connection|signature|cert", re.IGNORECASE
)
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@:]*:([^\s/@]+)@", re.IGNORECASE)
_LIKE_A_TOKEN = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\w.+=:~-]{20,}\Z")
_SHORTEST = 4  # anything shorter would be masked all over the place


class Masker:
    """Replaces a server's secrets in text: values of its environment that look like some, and passwords in URLs."""

    def __init__(self, environment: Mapping[str, str], arguments: Iterable[str] = ()) -> None:
        secrets = {value for name, value in environment.items() if _SECRET_NAME.search(name)}
        secrets |= {value for value in environment.values() if _LIKE_A_TOKEN.match(value)}
        for text in (*environment.values(), *arguments):
            secrets |= set(_IN_URL.findall(text))
        # Many lines at once, as a key in PEM form, are printed line by line.
        parts = {part.strip() for secret in secrets for part in secret.splitlines()}
        known = sorted((part for part in parts if len(part) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)
