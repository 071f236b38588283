"""The secrets that servers are given: tokens, the key that seals request state, and values named by the stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_random import RandomPassword

from infra import naming
from infra.component import Component, object_name
from infra.pods import SecretKey

BEARER_TOKENS = "bearer-tokens"
REQUEST_STATE_KEY = "request-state-key"
_KEY_LENGTH = 48


@dataclass(frozen=True, kw_only=True)
class AppSecretsArgs:
    """`values` are further secrets by name. Without a `request_state_key` one is generated, once a stack."""

    namespace: pulumi.Input[str]
    bearer_tokens: pulumi.Input[str] | None = None
    request_state_key: pulumi.Input[str] | None = None
    values: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])


class AppSecrets(Component):
    """Owns one Secret. Outputs: `secret_name`; attributes: `bearer_tokens` (None without), `request_state_key`."""

    def __init__(self, name: str, args: AppSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("app", "AppSecrets", name, opts)
        key = args.request_state_key
        if key is None:
            key = RandomPassword(
                naming.child(name, REQUEST_STATE_KEY), length=_KEY_LENGTH, special=False, opts=self.child_options()
            ).result
        values: dict[str, pulumi.Input[str]] = {REQUEST_STATE_KEY: key, **args.values}
        if args.bearer_tokens is not None:
            values[BEARER_TOKENS] = args.bearer_tokens
        secret = Secret(
            naming.child(name, "values"),
            metadata=ObjectMetaArgs(namespace=args.namespace, labels=naming.labels(name, "secrets")),
            string_data=values,
            opts=self.child_options(),
        )
        self.secret_name = object_name(secret.metadata)
        self.request_state_key = self.key(REQUEST_STATE_KEY)
        self.bearer_tokens = None if args.bearer_tokens is None else self.key(BEARER_TOKENS)
        self.finish({"secretName": self.secret_name})

    def key(self, name: str) -> SecretKey:
        """A reference to one of the values."""
        return SecretKey(secret=self.secret_name, key=name)
