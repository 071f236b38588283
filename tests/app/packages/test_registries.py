"""Where packages come from: as npm, uv and pip are configured, and as our own file says."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.packages.declared_registries import RegistriesError, declared_registries
from app.packages.registries import NPM, PYPI, read_registries


@pytest.fixture
def read(tmp_path: Path):
    def read(own: str | None = None, **environment: str):
        file = None
        if own is not None:
            file = tmp_path / "registries.yaml"
            file.write_text(own)
        return read_registries(environment, home=tmp_path, own=declared_registries(file=file))

    return read


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_nothing_configured_means_the_public_registries(read):
    found = read()
    assert found.of_npm("x").url == NPM
    assert [index.url for index in found.indexes] == [PYPI]
    assert found.client_environment({}) == {}


def test_npmrc_says_the_registry_of_a_scope_and_its_token_from_a_variable(read, tmp_path):
    text = "; mine\n@acme:registry=https://npm.acme.example/r\n//npm.acme.example/r/:_authToken=${ACME}\n"
    (tmp_path / ".npmrc").write_text(text)
    found = read(ACME="t0ken", UNRELATED="x")
    assert found.of_npm("@acme/x").url == "https://npm.acme.example/r/"
    assert found.of_npm("@acme/x").headers == {"authorization": "Bearer t0ken"}
    assert found.of_npm("@other/x").headers == {}
    assert found.client_environment({"ACME": "t0ken", "UNRELATED": "x"}) == {"ACME": "t0ken"}


def test_a_token_goes_to_no_other_host_or_path(read, tmp_path):
    (tmp_path / ".npmrc").write_text("//host.example/private/:_authToken=secret\n")
    assert read(npm_config_registry="https://host.example/private/").of_npm("x").headers
    assert not read(npm_config_registry="https://host.example/public/").of_npm("x").headers
    assert not read(npm_config_registry="https://host.example.evil/private/").of_npm("x").headers


def test_variables_of_npm_win_over_its_file(read, tmp_path):
    (tmp_path / ".npmrc").write_text("registry=https://one.example/\n")
    assert read(NPM_CONFIG_REGISTRY="https://two.example").of_npm("x").url == "https://two.example/"


def test_a_secret_is_in_no_repr(read, tmp_path):
    (tmp_path / ".npmrc").write_text("//registry.npmjs.org/:_authToken=s3cret\n")
    found = read(UV_DEFAULT_INDEX="https://me:s3cret@pypi.example/simple")
    assert "s3cret" not in repr(found)
    assert "s3cret" not in repr(found.of_npm("x"))


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_the_index_of_uv_and_of_pip_is_used_with_its_credentials(read, variable):
    (index,) = read(**{variable: "https://me:p%40ss@pypi.example/simple/"}).indexes
    assert index.url == "https://pypi.example/simple"
    assert index.headers == {"authorization": basic("me", "p@ss")}


def test_the_index_of_pip_is_told_to_uv_which_does_not_read_it(read):
    told = read(PIP_INDEX_URL="https://me:pw@pypi.example/simple").client_environment({})
    assert told["UV_DEFAULT_INDEX"] == "https://me:pw@pypi.example/simple"


def test_named_indexes_come_first_with_the_credentials_of_their_variables(read):
    found = read(UV_INDEX="mine=https://mine.example/simple", UV_INDEX_MINE_USERNAME="u", UV_INDEX_MINE_PASSWORD="p")
    assert [index.url for index in found.indexes] == ["https://mine.example/simple", PYPI]
    assert found.indexes[0].headers == {"authorization": basic("u", "p")}


def test_the_file_of_uv_is_read(read, tmp_path):
    folder = tmp_path / ".config" / "uv"
    folder.mkdir(parents=True)
    (folder / "uv.toml").write_text('[[index]]\nname = "a"\nurl = "https://a.example/simple"\ndefault = true\n')
    assert [index.url for index in read().indexes] == ["https://a.example/simple"]


def test_the_file_of_pip_is_read(read, tmp_path):
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nindex-url = https://b.example/simple\n")
    assert [index.url for index in read().indexes] == ["https://b.example/simple"]


def test_our_own_file_says_registries_with_tokens_from_files_and_variables(read, tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    found = read(
        f"npm:\n  - url: https://npm.example/\n    tokenFile: {tmp_path}/token\n"
        "  - url: https://acme.example/npm/\n    scopes: ['@acme']\n    tokenVariable: ACME\n"
        "pypi:\n  - url: https://pypi.example/simple\n    username: ci\n    tokenVariable: ACME\n",
        ACME="from-a-variable",
    )
    assert found.of_npm("x").headers == {"authorization": "Bearer from-a-file"}
    assert found.of_npm("@acme/x").headers == {"authorization": "Bearer from-a-variable"}
    assert found.indexes[0].headers == {"authorization": basic("ci", "from-a-variable")}
    told = found.client_environment({})
    assert told["npm_config_registry"] == "https://npm.example/"
    assert told["npm_config_@acme:registry"] == "https://acme.example/npm/"
    assert told["npm_config_//acme.example/npm/:_authToken"] == "from-a-variable"
    assert told["UV_DEFAULT_INDEX"] == "https://ci:from-a-variable@pypi.example/simple"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("npm: [{url: 'ftp://x'}]", "npm[0].url is wrong"),
        ("npm: [{url: 'https://u:p@x/'}]", "the token belongs into tokenFile"),
        ("npm: [{url: 'https://x/', tokenFile: /not/there}]", "npm[0].tokenFile='/not/there' cannot be read"),
        ("pypi: [{url: 'https://x/', tokenVariable: NOT_SET}]", "set that variable"),
        ("npm: [{uri: 'https://x/'}]", "unknown field `uri`"),
        ("npm: [", "is wrong"),
    ],
)
def test_a_mistake_in_our_own_file_is_told_with_its_place(read, text, told):
    with pytest.raises(RegistriesError) as caught:
        read(text)
    assert told in str(caught.value)


def test_the_same_may_be_said_in_a_variable(tmp_path):
    text = '{"npm":[{"url":"https://npm.example/","scopes":["@acme"],"tokenVariable":"ACME"}]}'
    found = read_registries({"ACME": "t0ken"}, home=tmp_path, own=declared_registries(text=text))
    assert found.of_npm("@acme/x").headers == {"authorization": "Bearer t0ken"}
    assert found.of_npm("x").url == NPM
    with pytest.raises(RegistriesError, match="MCP_PACKAGE_REGISTRIES is wrong"):
        declared_registries(text="npm: [")
    with pytest.raises(RegistriesError, match="are both set, and only one is read: unset the other"):
        declared_registries(text=text, file=tmp_path / "registries.yaml")


def test_pods_are_told_the_same_but_for_tokens_in_files(tmp_path):
    file = tmp_path / "registries.yaml"
    file.write_text("pypi: [{url: 'https://pypi.example/simple', username: ci, tokenVariable: ACME}]")
    told = declared_registries(file=file).for_pods()
    again = read_registries({"ACME": "t0ken"}, home=tmp_path, own=declared_registries(text=told))
    assert again.indexes[0].headers == {"authorization": basic("ci", "t0ken")}
    file.write_text("npm: [{url: 'https://npm.example/', tokenFile: /run/token}]")
    with pytest.raises(RegistriesError, match=r"npm\[0\].tokenFile='/run/token' is not there in the pods of servers"):
        declared_registries(file=file).for_pods()


def test_the_program_of_a_package_sees_no_credentials(read):
    secret = {
        "ACME": "t0ken",
        "npm_config_//npm.example/:_authToken": "t0ken",
        "NPM_CONFIG__AUTH": "t0ken",
        "UV_INDEX": "acme=https://ci:t0ken@pypi.example/simple?a=b",
        "UV_INDEX_ACME_PASSWORD": "t0ken",
        "MCP_PACKAGE_REGISTRIES": "{}",
    }
    harmless = {
        "UV_DEFAULT_INDEX": "https://pypi.example/simple",
        "HOMEPAGE": "https://a:b@example.org/",
        "PATH": "/bin",
    }
    found = read("npm: [{url: 'https://npm.example/', tokenVariable: ACME}]", **secret, **harmless)
    assert found.without_credentials({**secret, **harmless}) == harmless


def test_only_what_clients_need_is_passed_on_to_them(read):
    environment = {
        "PATH": "/bin",
        "HOME": "/h",
        "HTTPS_PROXY": "http://p",
        "AWS_SECRET_ACCESS_KEY": "x",
        "UV_OFFLINE": "1",
    }
    assert read().client_environment(environment).keys() == {"PATH", "HOME", "HTTPS_PROXY", "UV_OFFLINE"}
