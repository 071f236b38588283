"""The harness itself: what it records is what the program said."""

import pulumi
import pulumi_kubernetes as k8s
import pytest

from infra.component import Component


class Pair(Component):
    def __init__(self, name: str, password: pulumi.Input[str]) -> None:
        super().__init__("testing", "Pair", name)
        self.secret = k8s.core.v1.Secret(
            f"{name}-secret", string_data={"password": password}, opts=self.stateful_options(protect=True)
        )
        self.finish({"secret": self.secret.metadata.apply(lambda metadata: metadata.name)})


def test_a_component_is_recorded_with_its_children_options_and_outputs(run):
    stack = run(lambda: Pair("pair", pulumi.Output.secret("hunter2")))
    secret = stack.one("Secret")
    assert secret.at("stringData.password") == "hunter2"
    assert type(secret.at("stringData.password")).__name__ == "Secret"
    assert secret.protect
    assert secret.retain_on_delete
    assert secret.parent.endswith("slipway:testing:Pair::pair")
    assert type(secret.at("apiVersion")).__name__ == "str"
    assert stack.outputs(stack.one("Pair")) == {"secret": "pair-secret-0a1b2c3d"}


def test_a_query_that_finds_nothing_says_what_there_is(run):
    stack = run(lambda: Pair("pair", "plain"))
    with pytest.raises(AssertionError, match="expected one Secret other, found 0 among \\['pair-secret'\\]"):
        stack.one("Secret", "other")
    with pytest.raises(KeyError, match="stopped at nothing"):
        stack.one("Secret").at("stringData.nothing.here")
