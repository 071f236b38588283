"""Private registries of packages: what the program is told of them, their tokens, and the ways to them."""

import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import pulumi

from infra.components.gateway._args import PackageRegistries, PackageRegistry
from infra.edges import METADATA_SERVICE, Addresses, Edge, ForeignPods, Peer, Pods
from infra.pods import SecretKey
from infra.ports import HTTPS, Port
from infra.urls import address_range, url_port

_TOKEN: Final = "SLIPWAY_REGISTRY_TOKEN"  # noqa: S105 - how variables begin, not a token
_IN_CLUSTER: Final = "svc"


def variable(registries: PackageRegistries) -> str | None:
    """The value of `MCP_PACKAGE_REGISTRIES`: addresses, and the names of the variables that hold tokens."""
    said: dict[str, list[dict[str, object]]] = {}
    for ecosystem, token, given in _each(registries):
        entry = {
            "url": given.url,
            "scopes": list(given.scopes),
            "username": given.username,
            "tokenVariable": None if given.token is None else token,
        }
        said.setdefault(ecosystem, []).append({key: value for key, value in entry.items() if value})
    if not said:
        return None
    # Kubernetes reads `$(…)` in a variable as a reference to another one.
    return json.dumps(said, sort_keys=True, separators=(",", ":")).replace("$", "\\u0024")


def tokens(registries: PackageRegistries) -> dict[str, pulumi.Input[str]]:
    """Every token, by the variable that holds it."""
    return {token: given.token for _, token, given in _each(registries) if given.token is not None}


def references(registries: PackageRegistries, secret: pulumi.Input[str]) -> Mapping[str, SecretKey]:
    """The variables of tokens, whose values stay in the Secret."""
    return {token: SecretKey(secret=secret, key=token) for token in tokens(registries)}


def edges(source: Pods, registries: PackageRegistries) -> Iterator[Edge]:
    """The ways to registries that HTTPS to public services does not cover, one for each place."""
    places: dict[str, tuple[Peer, set[int]]] = {}
    for _, _, given in _each(registries):
        place = _place(given.url)
        if place is not None:
            places.setdefault(place.name, (place, set()))[1].add(url_port(given.url))
    for place, numbers in places.values():
        ports = tuple(Port(name=f"registry-{number}", number=number) for number in sorted(numbers))
        yield Edge(source=source, target=place, ports=ports, reason="Fetch packages from private registries.")


def _each(registries: PackageRegistries) -> Iterator[tuple[str, str, PackageRegistry]]:
    """Every registry with its ecosystem and the variable of its token, named by its place in the list."""
    for ecosystem, listed in (("npm", registries.npm), ("pypi", registries.pypi)):
        for index, given in enumerate(listed, start=1):
            yield ecosystem, f"{_TOKEN}_{ecosystem.upper()}_{index}", given


def _place(url: str) -> Peer | None:
    """Where a registry is: an address, a Service of the cluster, or anywhere; None where HTTPS is open already."""
    host = urlsplit(url).hostname or ""
    if (spelt := address_range(host)) is not None:
        return Addresses(name=f"package-registry-at-{host.replace('.', '-')}", cidrs=(spelt,))
    labels = host.split(".")
    if labels[2:3] == [_IN_CLUSTER]:
        namespace = labels[1]
        return ForeignPods(name=f"package-registries-in-{namespace}", namespace=namespace)
    if url_port(url) == HTTPS.number:
        return None
    # Servers run the code of others: on port 80 the node's metadata service would give them its credentials.
    return Addresses(name="package-registries", excluded=(METADATA_SERVICE,))
