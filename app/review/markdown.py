"""Text for GitHub's Markdown, in which nothing that others chose can act as markup."""

import re
import unicodedata

LONGEST = 160


def code(text: str) -> str:
    """A code span that shows `text` and nothing else: no markup, no mention, no second line."""
    plain = _plain(text)
    if len(plain) > LONGEST:
        plain = plain[: LONGEST - 1] + "…"
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    # A span may not begin or end with its own fence, and must hold something.
    inner = f" {plain} " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else plain
    return f"{fence}{inner}{fence}"


def comment_safe(text: str) -> str:
    """Text that cannot end an HTML comment."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._-]", "-", text)).strip("-")


def _plain(text: str) -> str:
    """One line, without control characters and without those that change the direction of reading."""
    spaced = re.sub(r"\s+", " ", text)
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co"))
