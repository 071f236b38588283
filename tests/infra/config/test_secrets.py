"""Secrets are known by name, read as Outputs, and never part of anything that is shown."""

import json

import pulumi
import pytest
from pulumi.runtime import set_all_config

from infra.config import ConfigError, Secrets, StackConfig

SECRET = "correct-horse"


@pytest.fixture
def program():
    """`program({key: value}, secret=[…])`: what the engine hands to a program as its configuration."""

    def configure(values, secret=()):
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
        set_all_config(texts, list(secret))

    yield configure
    set_all_config({}, [])


def test_a_program_reads_its_own_keys_and_leaves_the_others(program):
    program({"slipway:environment": "dev", "slipway:servers": {"web": {"replicas": 2}}, "kubernetes:context": "kind"})
    config = StackConfig.load()
    assert config.environment == "dev"
    assert config.servers["web"].replicas == 2


def test_a_top_level_truth_value_arrives_as_text_and_is_understood(program):
    program({"slipway:environment": "dev", "slipway:servers": {"web": {}}, "slipway:protect": "true"})
    assert StackConfig.load().protect is True


def test_an_unknown_key_of_ours_is_refused(program):
    program({"slipway:environment": "dev", "slipway:servers": {"web": {}}, "slipway:protekt": "true"})
    with pytest.raises(ConfigError, match="slipway:protekt: unknown key; did you mean 'protect'"):
        StackConfig.load()


def test_a_fixed_secret_is_read_as_a_secret_output(program, run):
    values = {"slipway:environment": "dev", "slipway:servers": {"web": {}}, "slipway:bearerTokens": SECRET}
    seen = {}

    def body():
        program(values, secret=["slipway:bearerTokens"])
        output = StackConfig.load().secrets.require("bearerTokens")
        pulumi.Output.all(output, output.is_secret()).apply(lambda both: seen.update(value=both[0], secret=both[1]))

    run(body)
    assert seen == {"value": SECRET, "secret": True}


def test_a_named_secret_is_read_from_the_secrets_mapping(program, run):
    values = {
        "slipway:environment": "dev",
        "slipway:servers": {"web": {"secretEnvironment": {"BRAVE_KEY": "braveApiKey"}}},
        "slipway:secrets": {"braveApiKey": SECRET, "other": "x"},
    }
    seen = {}

    def body():
        program(values, secret=["slipway:secrets"])
        secrets = StackConfig.load().secrets
        seen["names"] = sorted(secrets.names)
        output = secrets.require("braveApiKey")
        pulumi.Output.all(output, output.is_secret()).apply(lambda both: seen.update(value=both[0], secret=both[1]))

    run(body)
    assert seen == {"names": ["braveApiKey", "other"], "value": SECRET, "secret": True}


@pytest.mark.parametrize("key", ["bearerTokens", "secrets", "tls", "protekt"])
def test_no_value_of_a_secret_reaches_a_message(program, key):
    program(
        {"slipway:environment": "dev", f"slipway:{key}": {"a": SECRET}, "slipway:servers": {"web": {"replicas": 0}}},
        secret=[f"slipway:{key}"],
    )
    with pytest.raises(ConfigError) as refused:
        StackConfig.load()
    assert SECRET not in f"{refused.value!r} {refused.value}"


def test_a_secret_kept_in_plain_text_is_refused_without_being_repeated(program):
    program({"slipway:environment": "dev", "slipway:servers": {"web": {}}, "slipway:redisPassword": SECRET})
    with pytest.raises(ConfigError) as refused:
        StackConfig.load()
    assert [problem.path for problem in refused.value.problems] == ["redisPassword"]
    assert "pulumi config set --secret slipway:redisPassword" in str(refused.value)
    assert SECRET not in f"{refused.value!r} {refused.value}"


def test_a_plain_value_of_an_unknown_key_is_not_repeated(problems):
    found = problems(f"{{environment: dev, servers: {{web: {{pasword: {SECRET}}}}}, redisPasswort: {SECRET}}}")
    assert set(found) == {"servers.web.pasword", "redisPasswort"}
    assert SECRET not in str(found)


def test_neither_the_configuration_nor_its_dump_shows_secrets():
    values = {"environment": "dev", "servers": {"web": {}}, "bearerTokens": {"secure": SECRET}}
    config = StackConfig.parse(values)
    assert "bearerTokens" in config.secrets
    assert SECRET not in f"{config!r} {config} {config.secrets!r} {config.model_dump_json()}"


def test_a_secret_that_is_not_set_reads_as_none_and_cannot_be_required():
    secrets = Secrets()
    assert secrets.get("bearerTokens") is None
    with pytest.raises(KeyError, match="pulumi config set --secret slipway:bearerTokens"):
        secrets.require("bearerTokens")


def test_a_configuration_error_is_shown_by_pulumi_without_a_traceback():
    # The language host prints a RunError's text as a diagnostic, and the traceback of everything else.
    assert issubclass(ConfigError, pulumi.RunError)


def test_a_parsed_configuration_cannot_be_changed():
    config = StackConfig.parse({"environment": "dev", "servers": {"web": {}}})
    with pytest.raises(ValueError, match="frozen"):
        config.environment = "prod"
    with pytest.raises(ValueError, match="frozen"):
        config.servers["web"].replicas = 7


def test_a_configuration_that_the_host_hands_over_by_environment_is_read_alike(program, monkeypatch):
    program({})
    values = {"slipway:environment": "dev", "slipway:servers": '{"web": {}}', "slipway:bearerTokens": SECRET}
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(values))
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(["slipway:bearerTokens"]))
    config = StackConfig.load()
    assert set(config.servers) == {"web"}
    assert config.secrets.names == {"bearerTokens"}
