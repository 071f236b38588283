"""The servers' secrets: generated where not given, and never outside their Secret."""

import pulumi

from infra.components.app_secrets import AppSecrets, AppSecretsArgs


def test_a_key_for_request_state_is_generated_when_none_is_given(run):
    stack = run(lambda: AppSecrets("app", AppSecretsArgs(namespace="there")))
    assert stack.one("RandomPassword").at("length") == 48
    assert stack.one("Secret").at("stringData") == {"request-state-key": "generated-for-app-request-state-key"}


def test_a_given_key_is_used_and_nothing_is_generated(run):
    stack = run(
        lambda: AppSecrets("app", AppSecretsArgs(namespace="there", request_state_key=pulumi.Output.secret("k" * 32)))
    )
    assert stack.all("RandomPassword") == []
    assert stack.one("Secret").at("stringData.request-state-key") == "k" * 32


def test_every_value_is_secret_on_the_wire(run):
    def program() -> AppSecrets:
        values = {"brave": pulumi.Output.secret("b")}
        args = AppSecretsArgs(namespace="there", bearer_tokens=pulumi.Output.secret("token"), values=values)
        return AppSecrets("app", args)

    stack = run(program)
    values = stack.one("Secret").at("stringData")
    assert set(values) == {"request-state-key", "bearer-tokens", "brave"}
    assert {type(value).__name__ for value in values.values()} == {"Secret"}


def test_the_secret_has_a_generated_name_so_that_a_new_value_rolls_the_pods(run):
    secret = run(lambda: AppSecrets("app", AppSecretsArgs(namespace="there"))).one("Secret")
    assert not secret.has("metadata.name")
