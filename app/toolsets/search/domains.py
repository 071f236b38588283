"""Which domains may be shown and fetched."""

from __future__ import annotations

from collections.abc import Iterable


class DomainRules:
    """An allow list and a block list, subdomains included. What is on both is blocked; no allow list allows all."""

    def __init__(self, allowed: Iterable[str] = (), blocked: Iterable[str] = ()) -> None:
        self._allowed = frozenset(ascii_host(domain) for domain in allowed)
        self._blocked = frozenset(ascii_host(domain) for domain in blocked)

    def permit(self, host: str) -> bool:
        """Whether a host may be shown and fetched."""
        names = _itself_and_above(ascii_host(host))
        if not self._blocked.isdisjoint(names):
            return False
        return not self._allowed or not self._allowed.isdisjoint(names)


def ascii_host(host: str) -> str:
    """A host name in the one form in which names are compared."""
    name = host.strip().lower().removeprefix("*.").strip(".")
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _itself_and_above(host: str) -> set[str]:
    labels = host.split(".")
    return {".".join(labels[start:]) for start in range(len(labels))}
