"""Templates: every built-in one, and those of the operator."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml

from app.gateway.manager.declaration import read_declaration
from app.gateway.resolving import ResolveError, ResolveOptions, Resolver
from app.gateway.rest.models import StartRequest
from app.gateway.spec import SecretRef, ServerSpec
from app.gateway.templates import (
    Template,
    TemplateError,
    Templates,
    UnknownTemplate,
    builtin,
    command_line,
    from_folder,
    gateway_snippet,
    read_template,
    rest_body,
    server_key,
    stack_snippet,
)

POPULAR = {"brave-search", "github", "postgres", "filesystem", "playwright", "fetch", "git", "memory", "time", "sqlite"}
POPULAR |= {"slack", "puppeteer", "sequential-thinking", "everything"}
EVERY = pytest.mark.parametrize("template", list(builtin().values()), ids=lambda template: template.name)
SECRET = "hunter2-hunter2"


def example(setting) -> str:
    return setting.example or "x"


def complete(template: Template) -> ServerSpec:
    """All that a template asks for, and no more."""
    wanted = {setting.name for setting in template.settings if setting.required} | {g[0] for g in template.one_of}
    settings = [setting for setting in template.settings if setting.name in wanted]
    return ServerSpec(
        template=template.name,
        environment={setting.name: example(setting) for setting in settings if not setting.secret},
        secret_environment={setting.name: SecretRef("s", "k") for setting in settings if setting.secret},
        allowed_paths=("/data",) if template.paths and template.paths.required else (),
    )


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(options=ResolveOptions(place="pod", allow_custom_images=True, allow_local_urls=True))


def test_there_are_at_least_twenty_and_the_popular_ones_among_them():
    assert len(builtin()) >= 20
    assert set(builtin()) >= POPULAR


@EVERY
def test_a_template_says_what_a_person_needs_to_know(template):
    assert template.title
    assert template.description.endswith(".")
    assert template.capabilities
    assert template.categories
    assert template.homepage
    assert template.homepage.startswith("https://")
    assert all(setting.description.endswith(".") for setting in template.settings)
    for setting in template.settings:
        telling = re.search(r"TOKEN|KEY|SECRET|PASSWORD", setting.name) and not setting.name.endswith(
            ("_ID", "_KEY_ID")
        )
        assert setting.secret or not telling, f"{setting.name} looks like a secret"
        if setting.pattern and setting.example:
            assert re.fullmatch(setting.pattern, setting.example), f"the example of {setting.name} breaks its pattern"
    if template.deprecated and template.deprecated.successor:
        assert template.deprecated.successor in builtin()


@EVERY
async def test_a_template_resolves_with_what_it_asks_for_and_names_all_that_is_missing(template, resolver):
    launch = await resolver.resolve(server_key(template.name), complete(template))
    assert launch.id == template.name
    assert launch.command or launch.url or launch.image
    asked = [setting for setting in template.settings if setting.required]
    if asked or template.one_of or (template.paths and template.paths.required):
        with pytest.raises(ResolveError) as caught:
            await resolver.resolve("x", ServerSpec(template=template.name))
        told = str(caught.value)
        assert all(setting.name in told for setting in asked)
        assert all(name in told for group in template.one_of for name in group)
        assert not (template.paths and template.paths.required) or "allowedPaths is missing" in told


@EVERY
def test_what_config_writes_is_what_is_read_and_never_has_a_secret(template):
    given = {setting.name: SECRET if setting.secret else example(setting) for setting in template.settings}
    stack, gateway = stack_snippet(template, given=given), gateway_snippet(template, given=given)
    rest, command = rest_body(template, given=given), command_line(template, given=given)
    for text in (stack, gateway, rest, command):
        assert SECRET not in text
    key = server_key(template.name)
    assert set(read_declaration("gateway.yaml", gateway).servers) == {key}
    servers = yaml.safe_load(stack)["config"]["slipway:gateway"]["servers"]
    assert list(servers) == [key]
    assert StartRequest.model_validate(json.loads(rest)).template == template.name
    words = shlex.split(command, comments=True)
    assert words[:6] == ["slipway", "servers", "start", key, "--template", template.name]


def test_a_server_with_a_name_of_its_own_names_its_template():
    found = read_declaration("f", gateway_snippet(Templates().get("brave-search"), "mine")).servers["mine"]
    assert found.template == "brave-search"
    assert found.secret_environment == {"BRAVE_API_KEY": SecretRef("mine", "BRAVE_API_KEY")}


def test_a_key_in_any_spelling_finds_its_template_and_a_slip_the_one_that_was_meant():
    templates = Templates()
    assert {templates.get(key).name for key in ("braveSearch", "brave-search", "brave_search")} == {"brave-search"}
    with pytest.raises(UnknownTemplate, match=r"'filesytem': did you mean filesystem\?"):
        templates.get("filesytem")
    with pytest.raises(UnknownTemplate, match="`slipway templates list` shows all"):
        templates.get("zzzzzz")


def test_a_search_finds_every_word_and_names_first():
    templates = Templates()
    assert templates.search("Filesystem")[0].name == "filesystem"
    assert "postgres" in {found.name for found in templates.search("database health")}
    assert templates.search("nothing-like-this") == []


OWN = {"name": "harbour", "title": "Harbour", "description": "Ships.", "type": "npx", "package": "@acme/harbour"}


def write(folder, **files) -> None:
    for name, given in files.items():
        text = given if isinstance(given, str) else yaml.safe_dump(given)
        (folder / f"{name}.yaml").write_text(text)


def test_templates_of_a_folder_stand_beside_the_built_in_ones(tmp_path):
    write(tmp_path, harbour=OWN)
    (tmp_path / "notes.txt").write_text("no template")
    templates = Templates(from_folder(tmp_path))
    assert templates.get("harbour").package == "@acme/harbour"
    assert (templates.is_own("harbour"), templates.is_own("time")) == (True, False)


def test_a_built_in_one_is_replaced_only_where_that_is_said(tmp_path):
    write(tmp_path, time={**OWN, "name": "time"})
    own = from_folder(tmp_path)
    with pytest.raises(
        TemplateError, match="has the name of a built-in template: rename it, or set MCP_TEMPLATES_REPLACE"
    ):
        Templates(own)
    assert Templates(own, replace=True).get("time").package == "@acme/harbour"


def test_two_of_one_name_are_a_mistake():
    with pytest.raises(TemplateError, match="is there twice"):
        Templates([read_template("a", OWN), read_template("b", OWN)])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Harbour!"}, "name 'Harbour!': write lower-case letters"),
        ({"package": "git+https://example.com/x"}, "package "),
        ({"package": "-g"}, "it would be read as an option"),
        ({"package": None}, "package is missing: type npx needs it"),
        ({"type": "remote", "package": None}, "url is missing: type remote needs it"),
        ({"typo": 1}, "unknown field `typo`"),
        ({"type": "docker"}, "type is wrong: Invalid enum value 'docker'"),
        ({"bin": "../../sh"}, "bin "),
        ({"environment": {"LD_PRELOAD": "x"}}, "LD_PRELOAD decides which programs are loaded"),
        ({"settings": [{"name": "A B", "description": "x"}]}, "settings[0].name"),
        ({"settings": [{"name": "A", "description": "x", "pattern": "("}]}, "is not a regular expression"),
        ({"settings": [{"name": "A", "description": "x", "option": "; rm"}]}, "is not an option"),
        ({"settings": [{"name": "A", "description": "x", "option": "--a", "secret": True}]}, "arguments are no secret"),
        ({"settings": [{"name": "A", "description": "x"}] * 2}, "has a name twice"),
        ({"oneOf": [["B"]]}, "oneOf names B, which is none of its settings"),
        ({"arguments": ["a\nb"]}, "arguments[0]"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_file_and_field(tmp_path, change, told):
    write(tmp_path, good=OWN, bad={**OWN, "name": "bad", **change})
    with pytest.raises(TemplateError) as caught:
        from_folder(tmp_path)
    assert len(caught.value.problems) == 1
    assert "bad.yaml" in str(caught.value)
    assert told in str(caught.value)


def test_every_wrong_file_is_told_at_once_and_so_is_a_folder_that_is_not_there(tmp_path):
    write(tmp_path, one="{", two="- list", three="name: [")
    (tmp_path / "four.yaml").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "five.yaml").write_text("#" * 300_000)
    with pytest.raises(TemplateError) as caught:
        from_folder(tmp_path)
    assert len(caught.value.problems) == 5
    with pytest.raises(TemplateError, match="name a folder in MCP_TEMPLATES_PATH"):
        from_folder(tmp_path / "none")
