"""What a rule sees of a resource: plain data, the same whether it comes from a test or from the Pulumi engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

STACK_PLATFORM: Final = "slipway:platform:Platform"


class _Unknown:
    """Stands for a value that a preview cannot know. No rule judges it."""

    def __repr__(self) -> str:
        return "(known after the update)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, kw_only=True)
class ResourceView:
    """One resource. `props` are its inputs as checked by the provider, generated names included; a component's are
    its outputs. `retained` is None where the engine does not tell.
    """

    type: str
    name: str
    urn: str
    props: Mapping[str, Any] = field(repr=False)
    protected: bool = False
    retained: bool | None = None

    @property
    def kind(self) -> str:
        """The last part of the type: `Deployment`."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_kubernetes(self) -> bool:
        return self.type.startswith("kubernetes:")

    @property
    def object_name(self) -> str:
        """The name in the cluster."""
        return text(self.props, "metadata.name") or self.name

    @property
    def namespace(self) -> str:
        return text(self.props, "metadata.namespace")

    def __str__(self) -> str:
        return f"{self.kind} {self.object_name}"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """What is wrong with which resource, and what to do. Never quotes a value that may be secret."""

    message: str
    urn: str = ""


def at(value: Any, path: str) -> Any:
    """The value at a dotted path through mappings, None where there is none."""
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return UNKNOWN if value is UNKNOWN else None
        value = cast("Mapping[str, Any]", value).get(part)
    return value


def text(value: Any, path: str) -> str:
    """The string at a path, empty where there is none or it is not known yet."""
    found = at(value, path)
    return str(found) if isinstance(found, str) else ""


def number(value: Any, path: str, default: int = 0) -> int:
    found = at(value, path)
    return int(found) if isinstance(found, (int, float)) else default


def mapping(value: Any, path: str) -> dict[str, Any]:
    """The mapping at a path, empty where there is none."""
    found = at(value, path)
    return dict(cast("Mapping[str, Any]", found)) if isinstance(found, Mapping) else {}


def items(value: Any, path: str) -> list[Any]:
    """The list at a path, empty where there is none."""
    found = at(value, path)
    if isinstance(found, Sequence) and not isinstance(found, str):
        return list(cast("Sequence[Any]", found))
    return []


def of_kind(resources: Sequence[ResourceView], *kinds: str) -> Iterator[ResourceView]:
    """The Kubernetes objects of these kinds."""
    return (resource for resource in resources if resource.is_kubernetes and resource.kind in kinds)


def environment(resources: Sequence[ResourceView]) -> str:
    """What the platform says it is; the strict one where nobody says."""
    said = (text(resource.props, "environment") for resource in resources if resource.type == STACK_PLATFORM)
    return next((name for name in said if name), "prod")
