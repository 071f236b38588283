"""What is generated from the models is as the models are, and the stack files keep to it."""

import jsonschema
import pytest
import yaml

from infra.config import reference, schema
from infra.config.stack import StackConfig

VALIDATOR = jsonschema.Draft202012Validator(schema.stack_schema())


def test_the_schema_in_the_repository_is_the_one_of_the_models():
    assert schema.PATH.read_text(encoding="utf-8") == schema.render(), "run `make golden`"


def test_the_reference_in_the_repository_is_the_one_of_the_models():
    assert reference.PATH.read_text(encoding="utf-8") == reference.render(), "run `make golden`"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.stack_schema())


def test_every_key_is_described():
    silent = [
        f"{name}.{key}"
        for name, definition in schema.stack_schema()["$defs"].items()
        for key, node in definition["properties"].items()
        if not (node.get("description") or "$ref" in node)
    ]
    assert silent == []


def test_the_reference_lists_every_key_of_a_server():
    text = reference.render()
    for field in StackConfig.model_fields["servers"].annotation.__args__[1].model_fields.values():
        assert f"`servers.<name>.{field.alias}`" in text


def test_shipped_stack_files_keep_to_the_schema_and_name_it(shipped):
    for name, file in shipped.items():
        text = file.read_text(encoding="utf-8")
        assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == [], name
        path = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / path).resolve() == schema.PATH, name


@pytest.mark.parametrize(
    ("config", "accepted"),
    [
        ({"slipway:environment": "dev"}, True),
        ({"slipway:environment": "dev", "kubernetes:context": "kind"}, True),
        ({"slipway:environment": "dev", "slipway:bearerTokens": {"secure": "AAAB"}}, True),
        ({"slipway:environment": "dev", "slipway:secrets": {"braveApiKey": {"secure": "AAAB"}}}, True),
        ({"slipway:environment": "dev", "slipway:servers": {"web": {"resources": {"limits": {"cpu": 2}}}}}, True),
        ({"slipway:environment": "dev", "slipway:bearerTokens": "plain"}, False),
        ({"slipway:environment": "dev", "slipway:secrets": {"braveApiKey": "plain"}}, False),
        ({"slipway:environment": "dev", "slipway:protect": {"secure": "AAAB"}}, False),
        ({"slipway:environment": "dev", "slipway:protekt": True}, False),
        ({"slipway:environment": "dev", "slipway:servers": {"web": {"nodePort": 80}}}, False),
        ({"slipway:environment": "dev", "slipway:servers": {"Web_1": {}}}, False),
        ({"slipway:environment": "dev", "slipway:servers": {"web": {"resources": {"limits": {"memory": 2}}}}}, False),
        ({}, False),
    ],
)
def test_an_editor_tells_what_the_program_would(config, accepted):
    assert VALIDATOR.is_valid({"config": config}) is accepted


def test_what_pulumi_adds_to_a_stack_file_is_accepted():
    document = {"config": {"slipway:environment": "dev"}, "encryptionsalt": "v1:a:b", "secretsprovider": "passphrase"}
    assert VALIDATOR.is_valid(document)
