import base64
import json

import pytest

SECRET = "correct-horse-battery"
ENCODED = base64.b64encode(SECRET.encode()).decode()
MARKED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(SECRET)}


def environment(name, value):
    return {"spec": {"containers": [{"env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": name, "value": value}]}]}}


@pytest.mark.parametrize(
    ("kind", "path", "properties"),
    [
        ("Secret", "data.anything", {"data": {"anything": ENCODED}}),
        ("Secret", "data", {"data": {"anything": ENCODED}}),
        ("Secret", "stringData.url", {"stringData": {"url": SECRET}}),
        ("Deployment", "spec.key", {"spec": {"key": MARKED}}),
        ("Deployment", "spec", {"spec": {"deeper": [MARKED]}}),
        ("Deployment", "spec.redisPassword", {"spec": {"redisPassword": SECRET}}),
        ("Deployment", "spec.bearerTokens[0]", {"spec": {"bearerTokens": [SECRET]}}),
        ("Deployment", "spec.api_key", {"spec": {"api_key": SECRET}}),
        ("Deployment", "spec", {"spec": {"client": {"apiKey": SECRET}}}),
        ("Deployment", "spec.containers[0].env[1].value", environment("REDIS_PASSWORD", SECRET)),
        ("Deployment", "spec.containers[0].env[1]", environment("MCP_BEARER_TOKENS", SECRET)),
        ("Deployment", "spec", environment("GITHUB_TOKEN", SECRET)),
        ("ConfigMap", 'data["db.url"]', {"data": {"db.url": f"mongodb://app:{SECRET}@db:27017/x"}}),
        ("ConfigMap", "data", {"data": {"config.yaml": f"url: redis://:{SECRET}@cache:6379/0"}}),
    ],
)
@pytest.mark.parametrize("op", ["update", "replace"])
def test_a_secret_is_never_shown(step, look, kind, path, properties, op):
    found = look(step(op, kind, "thing", old=properties, new=properties, diff={path: "update"}))
    assert SECRET not in found.markdown
    assert ENCODED not in found.markdown
    assert "[secret]" in found.markdown


def test_a_secret_is_known_wherever_it_was_copied_to(step, look):
    copied = {"data": {"start.sh": f"redis-cli -a {SECRET} ping"}}
    found = look(
        step("create", "Secret", "auth", new={"data": {"x": ENCODED}}),
        step("update", "ConfigMap", "scripts", old={}, new=copied, diff={"data": "add"}),
    )
    assert SECRET not in found.markdown


def test_names_of_secrets_are_no_secrets(step, look):
    old, new = {"spec": {"secretName": "old-tls"}}, {"spec": {"secretName": "new-tls"}}
    found = look(step("update", "Deployment", "x", old=old, new=new, diff={"spec.secretName": "update"}))
    assert "`spec.secretName`: `old-tls` → `new-tls`" in found.markdown


def test_harmless_values_are_shown(step, look):
    old, new = environment("LOG_LEVEL_2", "info"), environment("LOG_LEVEL_2", "debug")
    found = look(
        step("update", "Deployment", "x", old=old, new=new, diff={"spec.containers[0].env[1].value": "update"})
    )
    assert "`info` → `debug`" in found.markdown
