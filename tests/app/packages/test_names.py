"""Names, versions, arguments and variables: what passes can be neither an option nor shell text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.pinning import Wanted, client_command
from app.packages.names import (
    NotAllowedText,
    argument,
    bin_name,
    package_name,
    package_version,
    reference,
    variable_name,
    variable_value,
)

HOSTILE = [
    "",
    "-g",
    "--registry=http://evil",
    "a b",
    "a;b",
    "a\nb",
    "a$(x)",
    "`x`",
    "a|b",
    "a&b",
    "a>b",
    "../x",
    "./x",
    "/etc/passwd",
    "~/x",
    "git+https://host/x",
    "git@host:x",
    "github:user/x",
    "user/x",
    "http://host/x.tgz",
    "file:../x",
    "npm:other@1",
    "link:../x",
    "workspace:*",
    "name@1.0.0",
    "name@latest",
    "name[extra]",
    "name @ http://host/x.whl",
    "name==1.0",
    "name>=1",
    "@scope",
    "@scope/",
    "@/name",
    "@-scope/name",
    "@scope/-name",
    "a" * 215,
    "nаme",
    "a\u202eb",
    "a\0b",
    ".hidden",
    "_private",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
def test_what_is_no_plain_name_is_refused(ecosystem, text):
    with pytest.raises(NotAllowedText):
        package_name(ecosystem, text)


@pytest.mark.parametrize("text", ["mcp", "@scope/name", "@playwright/mcp", "a.b-c_d", "0x", "x" * 214])
def test_names_of_npm_pass_as_they_are(text):
    assert package_name("npm", text) == text


@pytest.mark.parametrize(
    ("text", "normal"), [("mcp_server.fetch", "mcp-server-fetch"), ("A--B", "a-b"), ("Flask", "flask")]
)
def test_names_of_pypi_are_normalised(text, normal):
    assert package_name("pypi", text) == normal


def test_a_capital_letter_is_named_as_the_reason():
    with pytest.raises(NotAllowedText, match="capital letters"):
        package_name("npm", "Left-Pad")


@pytest.mark.parametrize(
    "text", ["latest", "^1.0.0", "1.x", "1", "1.2", ">=1", "1.0.0 ", "-1.0.0", "1.0.0;x", "01.0.0", ""]
)
def test_only_one_exact_version_of_npm_is_taken(text):
    with pytest.raises(NotAllowedText, match="not one exact version"):
        package_version("npm", text)


@pytest.mark.parametrize("text", ["==1.0", ">=1", "1.*", "1.0+local", "latest", "1.0 ", "", "v1.0"])
def test_only_one_exact_version_of_pypi_is_taken(text):
    with pytest.raises(NotAllowedText, match="not one exact version"):
        package_version("pypi", text)


@pytest.mark.parametrize("text", ["1.0", "2026.10.24", "1!2.0", "1.0rc1", "1.0.post1", "1.0.dev3"])
def test_versions_of_pypi_pass(text):
    assert package_version("pypi", text) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("npm:x", ("npm", "x", None)),
        ("npm:@s/x@1.2.3", ("npm", "@s/x", "1.2.3")),
        ("pypi:X_y==1.0", ("pypi", "x-y", "1.0")),
    ],
)
def test_a_reference_is_taken_apart(text, parts):
    assert reference(text) == parts


@pytest.mark.parametrize("text", ["x", "cargo:x", "npm:", "npm:x@", "npm:x@^1", "pypi:x==", "pypi:x@1"])
def test_a_reference_that_is_none_is_refused(text):
    with pytest.raises(NotAllowedText):
        reference(text)


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\x1b[31m", "a\x7f", "\ud800", "\u0085"])
def test_an_argument_is_printable(text):
    with pytest.raises(NotAllowedText):
        argument(text)


@pytest.mark.parametrize("text", ["--flag", "-x", "$(rm -rf /)", "; ls", "a b", "ünïcode", ""])
def test_an_argument_may_be_any_printable_text_since_no_shell_reads_it(text):
    assert argument(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "PATH",
        "npm_config_registry",
        "UV_INDEX_URL",
        "PIP_INDEX_URL",
        "BASH_ENV",
    ],
)
def test_a_variable_that_decides_what_is_loaded_is_refused(name):
    with pytest.raises(NotAllowedText, match="decides which programs are loaded"):
        variable_name(name)


@pytest.mark.parametrize("name", ["1A", "A-B", "A B", "A=B", "", "Ä"])
def test_what_is_no_name_of_a_variable_is_refused(name):
    with pytest.raises(NotAllowedText):
        variable_name(name)


def test_a_refused_value_is_not_repeated():
    with pytest.raises(NotAllowedText) as caught:
        variable_value("secret\0")
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["npm", "pypi"]))
def test_every_name_that_passes_is_made_of_harmless_characters(text, ecosystem):
    try:
        name = package_name(ecosystem, text)
    except NotAllowedText:
        return
    assert re.fullmatch(r"@?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?", name)
    assert package_name(ecosystem, name) == name


@given(
    st.from_regex(r"@[a-z0-9-]{1,8}/[a-z0-9._-]{1,8}|[ -~]{1,12}", fullmatch=True),
    st.none() | st.from_regex(r"[0-9.a-z^*-]{1,8}", fullmatch=True),
    st.lists(st.text(max_size=10), max_size=3),
    st.sampled_from(["npm", "pypi"]),
)
def test_what_a_person_gives_is_never_an_option_of_npx_or_uvx(name, version, arguments, ecosystem):
    try:
        package = package_name(ecosystem, name)
        number = None if version is None else package_version(ecosystem, version)
        words = [argument(text) for text in arguments]
    except NotAllowedText:
        return
    command = client_command(Wanted(ecosystem, package, number, None, words), number)
    own = command[: len(command) - len(words)]
    assert [word for word in own if word.startswith("-")] == (["-y", "--"] if ecosystem == "npm" else ["--from"])
    assert list(command[len(own) :]) == words


@given(st.text(max_size=40))
def test_every_program_that_passes_is_a_plain_file_name(text):
    try:
        name = bin_name(text)
    except NotAllowedText:
        return
    assert "/" not in name
    assert name not in (".", "..")
    assert not name.startswith("-")
