"""Secret values of a stack: known by name, read as Outputs, never part of a model, a message or a repr."""

from collections.abc import Callable, Iterable
from typing import Final

import pulumi

FIXED_SECRETS: Final = {
    "redisPassword": "Password of Redis, with `redis.password: config`.",
    "mongodbPassword": "Password of the app's MongoDB user; generated when not set.",
    "mongodbAdminPassword": "Password of the MongoDB admin page; generated when not set.",
    "bearerTokens": "Tokens that clients present, comma-separated; no authentication when not set.",
    "registryPassword": "Password of the registry that images are pushed to, with `image.username`.",
    "requestStateKey": "Key that seals request state between replicas; generated when not set.",
}
"""The secrets that the platform itself knows. All others live under `slipway:secrets`."""


def _placeholder(key: str) -> pulumi.Output[str]:
    return pulumi.Output.secret(f"[{key}]")


class Secrets:
    """The secrets that are set, by key: the fixed ones, and those under `slipway:secrets` by their own key."""

    def __init__(self, names: Iterable[str] = (), read: Callable[[str], pulumi.Output[str]] = _placeholder) -> None:
        self._names = frozenset(names)
        self._read = read

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._names))})"

    @property
    def names(self) -> frozenset[str]:
        """The keys that are set."""
        return self._names

    def get(self, key: str) -> pulumi.Output[str] | None:
        """The value as a secret Output, or None when it is not set."""
        return self._read(key) if key in self._names else None

    def require(self, key: str) -> pulumi.Output[str]:
        """The value as a secret Output. Asking for one that is not set is a mistake of the program."""
        if key not in self._names:
            raise KeyError(f"the secret {key!r} is not set; {how_to_set(key)}")
        return self._read(key)


def how_to_set(key: str) -> str:
    """The command that sets a secret."""
    if key in FIXED_SECRETS:
        return f"set it with `pulumi config set --secret slipway:{key}`"
    return f"set it with `pulumi config set --secret --path 'slipway:secrets.{key}'`"
