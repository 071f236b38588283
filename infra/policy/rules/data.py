"""Rules about what must not be lost and what must not be seen."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Any

from infra.policy.view import (
    STACK_PLATFORM,
    ResourceView,
    Violation,
    at,
    environment,
    items,
    mapping,
    of_kind,
    text,
)
from infra.policy.workloads import Workload, workloads

STATEFUL = ("StatefulSet", "PersistentVolumeClaim", "Namespace")
# A shorter value could be any word of a configuration.
_TELLING_LENGTH = 8
_SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|TOKENS?|SECRET|API_?KEY|PRIVATE_?KEY|STATE_KEYS?)$", re.IGNORECASE
)
# A quote ends the URL: in JSON, what comes after it may hold a colon and an "@" of its own.
_CREDENTIALS = re.compile(r"\w+://[^\s/:@${}<\"]*:[^\s/:@${}<\"]+@")


def stateful_kinds_are_protected(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    if environment(resources) == "dev":
        return
    for resource in of_kind(resources, *STATEFUL):
        if not resource.protected:
            yield Violation(
                message=f"{resource} holds data and is not protected: set slipway:protect to true", urn=resource.urn
            )
        elif resource.retained is False:
            yield Violation(
                message=f"{resource} holds data and would go with the stack: set retain_on_delete", urn=resource.urn
            )


def secret_references_resolve(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    known = {
        (secret.namespace, secret.object_name): {*mapping(secret.props, "data"), *mapping(secret.props, "stringData")}
        for secret in of_kind(resources, "Secret")
    }
    certified = {(found.namespace, text(found.props, "spec.secretName")) for found in of_kind(resources, "Certificate")}
    existing = _existing(resources)
    for owner, namespace, name, key in _references(resources):
        if not name or name in existing or (namespace, name) in certified:
            continue
        keys = known.get((namespace, name))
        if keys is None:
            yield Violation(
                message=f"{owner} refers to Secret {name}, which is not in namespace {namespace}", urn=owner.urn
            )
        elif key and keys and key not in keys:
            yield Violation(
                message=f"{owner} refers to key {key} of Secret {name}, which has {', '.join(sorted(keys))}",
                urn=owner.urn,
            )


def _existing(resources: Sequence[ResourceView]) -> set[str]:
    """The Secrets that somebody else made, as the stack says."""
    return {
        name for found in resources if found.type == STACK_PLATFORM for name in items(found.props, "existing_secrets")
    }


Reference = tuple[ResourceView, str, str, str]


def _references(resources: Sequence[ResourceView]) -> Iterator[Reference]:
    """Who refers to which key of which Secret; an empty key means all of it. Optional references are left out."""
    for workload in workloads(resources):
        for reference, key in _pod_references(workload):
            if not at(reference, "optional"):
                name = text(reference, "name") or text(reference, "secretName")
                yield workload.resource, workload.namespace, name, key
    for ingress in of_kind(resources, "Ingress"):
        for tls in items(ingress.props, "spec.tls"):
            yield ingress, ingress.namespace, text(tls, "secretName"), ""
    for issuer in of_kind(resources, "Issuer"):
        yield issuer, issuer.namespace, text(issuer.props, "spec.ca.secretName"), ""


def _pod_references(workload: Workload) -> Iterator[tuple[Any, str]]:
    for container in workload.all_containers:
        for variable in items(container.spec, "env"):
            reference = mapping(variable, "valueFrom.secretKeyRef")
            yield reference, text(reference, "key")
        for source in items(container.spec, "envFrom"):
            yield mapping(source, "secretRef"), ""
    for volume in items(workload.pod, "volumes"):
        yield from _volume_references(mapping(volume, "secret"))
        for source in items(volume, "projected.sources"):
            yield from _volume_references(mapping(source, "secret"))
    for reference in items(workload.pod, "imagePullSecrets"):
        yield reference, ""


def _volume_references(secret: Any) -> Iterator[tuple[Any, str]]:
    chosen = items(secret, "items")
    if not chosen:
        yield secret, ""
    for item in chosen:
        yield secret, text(item, "key")


def secrets_stay_in_secrets(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    """No value of a Secret, and nothing that is named or looks like one, in a ConfigMap or a plain variable."""
    values = {value for secret in of_kind(resources, "Secret") for value in _values(secret)}
    # A variable may say which Secret there is to use, as MCP_POD_PULL_SECRET does.
    names = {secret.object_name for secret in of_kind(resources, "Secret")} | _existing(resources)
    for owner, place, name, value in _plain_values(resources):
        if any(secret in value for secret in values):
            fault = "holds the value of a Secret"
        elif value and value not in names and place != "the command of" and _SECRET_NAME.search(name):
            fault = "is named like a secret"
        elif _CREDENTIALS.search(value):
            fault = "holds a URL with a password"
        else:
            continue
        yield Violation(message=f"{owner}: {place} {name} {fault}: refer to a Secret instead", urn=owner.urn)


def _values(secret: ResourceView) -> Iterator[str]:
    found = [value for value in mapping(secret.props, "stringData").values() if isinstance(value, str)]
    for value in mapping(secret.props, "data").values():
        try:
            found.append(base64.b64decode(str(value), validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue  # no text: it cannot be part of one
    return (value for value in found if len(value) >= _TELLING_LENGTH)


def _plain_values(resources: Sequence[ResourceView]) -> Iterator[tuple[ResourceView, str, str, str]]:
    for config in of_kind(resources, "ConfigMap"):
        for key, value in mapping(config.props, "data").items():
            yield config, "key", key, value if isinstance(value, str) else ""
    for workload in workloads(resources):
        for container in workload.all_containers:
            for variable in items(container.spec, "env"):
                yield workload.resource, "variable", text(variable, "name"), text(variable, "value")
            words = [str(word) for word in items(container.spec, "command") + items(container.spec, "args")]
            yield workload.resource, "the command of", container.name, " ".join(words)
