"""Names, labels and selectors: one function each, used everywhere."""

import re

PART_OF = "slipway"
MANAGED_BY = "pulumi"
# Leaves room for the suffixes that Kubernetes itself appends: ReplicaSet hash, pod hash, ordinal.
MAX_NAME = 47
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_dns_label(text: str, *, max_length: int = MAX_NAME) -> bool:
    """Whether Kubernetes accepts `text` as the name of a Service or a namespace."""
    return len(text) <= max_length and _DNS_LABEL.fullmatch(text) is not None


def child(parent: str, *parts: str) -> str:
    """The name of a child resource: `{parent}-{part}-…`."""
    return "-".join((parent, *parts))


def selector(name: str, component: str) -> dict[str, str]:
    """The immutable set of labels that finds the pods of one workload. A version never enters it."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component}


def labels(name: str, component: str) -> dict[str, str]:
    """All labels of an object: its selector, plus what people and tools group by."""
    return {
        **selector(name, component),
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": MANAGED_BY,
    }


def service_host(service: str, namespace: str) -> str:
    """The DNS name of a Service, resolvable from every namespace of the cluster."""
    return f"{service}.{namespace}.svc.cluster.local"
