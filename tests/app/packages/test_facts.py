"""What registries tell of packages: as they really answer, and where the answer is wrong, huge, slow or none."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.packages.facts import NoSuchPackage, PackageError, RegistryAway
from app.packages.policy import Policy
from app.packages.registries import Registries, Source
from app.packages.shelf import NotAllowedPackage

SIMPLE_HTML = "text/html"


async def test_an_npm_package_is_described_with_all_that_a_person_asks(shelf, registry):
    registry.add_npm("@acme/server", "1.0.0", dependencies={"leaf": "^1"}, deprecated="use 2")
    manifest = registry.add_npm(
        "@acme/server",
        "2.0.0",
        license={"type": "MIT"},
        engines={"node": ">=20"},
        bin={"one": "a.js", "two": "b.js"},
        hasInstallScript=True,
    )
    manifest["dist"]["unpackedSize"] = 1234
    document = registry.npm["@acme/server"]
    document |= {"description": "A server", "homepage": "https://acme.example"}
    package = await shelf.package("npm", "@acme/server")
    assert (package.latest, package.description, package.homepage) == ("2.0.0", "A server", "https://acme.example")
    assert (package.license, package.last_release) == ("MIT", "2026-01-02T00:00:00.000Z")
    assert list(package.releases) == ["2.0.0", "1.0.0"]
    new, old = package.releases.values()
    assert (new.size, new.needs, new.programs, new.scripts) == (1234, ">=20", ("one", "two"), True)
    assert (new.integrity, new.file) == (manifest["dist"]["integrity"], "server-2.0.0.tgz")
    assert (old.deprecated, old.dependencies) == ("use 2", {"leaf": "^1"})
    assert "is deprecated: use 2" in shelf.warnings("npm", "@acme/server", old)[0]


async def test_versions_that_are_none_or_of_another_package_are_passed_over(shelf, registry):
    registry.add_npm("x", "1.0.0")
    versions = registry.npm["x"]["versions"]
    versions["1.0"] = versions["1.0.0"]
    versions["2.0.0"] = {**versions["1.0.0"], "version": "3.0.0"}
    versions["4.0.0"] = {**versions["1.0.0"], "name": "evil", "version": "4.0.0"}
    versions["5.0.0"] = {"name": "x", "version": "5.0.0", "dist": "?"}
    versions["6.0.0"] = {**versions["1.0.0"], "version": "6.0.0", "license": ["MIT"], "bin": 5, "deprecated": True}
    registry.npm["x"]["dist-tags"]["latest"] = "4.0.0"
    package = await shelf.package("npm", "x")
    assert list(package.releases) == ["6.0.0", "1.0.0"]
    assert package.latest is None
    assert package.releases["6.0.0"].deprecated == "its authors say so"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ((404, b"", "text/plain"), NoSuchPackage, "is not in"),
        ((401, b"", "text/plain"), PackageError, "give it a token that may read"),
        ((403, b"", "text/plain"), PackageError, "give it a token that may read"),
        ((200, b"<html>", "text/html"), PackageError, "its answer is not what it should be"),
        ((200, b'{"name": "other"}', "application/json"), PackageError, "answered about 'other'"),
        ((200, b"[" * 10_000, "application/json"), PackageError, "its answer is not what it should be"),
        ((500, b"", "text/plain"), RegistryAway, ""),
        ((429, b"", "text/plain"), RegistryAway, "was asked too often"),
        ((200, b" " * 40_000, "application/json"), PackageError, ""),
        ((200, b"DRIP" * 100, "application/json"), RegistryAway, ""),
    ],
)
async def test_an_answer_that_is_none_is_told_with_the_package_and_the_remedy(make_shelf, registry, answer, kind, told):
    registry.answers["/x"] = answer
    shelf = make_shelf(max_bytes=20_000, timeout=1.0 if b"DRIP" in answer[1] else 20.0)
    with pytest.raises(kind) as caught:
        await shelf.package("npm", "x")
    assert type(caught.value) is kind
    assert "npm:x" in str(caught.value)
    assert told in str(caught.value)


async def test_an_old_answer_stands_in_while_the_registry_is_away_and_is_marked(make_shelf, registry):
    registry.add_npm("x", "1.0.0")
    shelf = make_shelf(fresh_seconds=0.0)
    assert not (await shelf.package("npm", "x")).stale
    registry.answers["/x"] = (500, b"", "text/plain")
    assert (await shelf.package("npm", "x")).stale


async def test_many_who_ask_at_once_are_one_request(shelf, registry):
    registry.add_npm("x", "1.0.0")
    await asyncio.gather(*(shelf.package("npm", "x") for _ in range(10)))
    assert len(registry.asked) == 1


async def test_the_newest_version_that_the_rules_allow_is_chosen(shelf, registry):
    for version in ("1.0.0", "1.5.0", "2.0.0", "3.0.0-rc.1"):
        registry.add_npm("x", version)
    registry.npm["x"]["dist-tags"]["latest"] = "1.5.0"
    assert (await shelf.choose("npm", "x", None, Policy())).version == "1.5.0"
    assert (await shelf.choose("npm", "x", None, Policy(block=["npm:x@1.5.0"]))).version == "2.0.0"
    assert (await shelf.choose("npm", "x", None, Policy(allow=["npm:x@<1.5"]))).version == "1.0.0"
    assert (await shelf.choose("npm", "x", "3.0.0-rc.1", Policy())).version == "3.0.0-rc.1"
    with pytest.raises(NotAllowedPackage, match="forbidden by the block rule"):
        await shelf.choose("npm", "x", "2.0.0", Policy(block=["npm:x@2"]))
    with pytest.raises(NoSuchPackage, match=r"npm:x 9.0.0 is not in .*: it has 3.0.0-rc.1, 2.0.0"):
        await shelf.choose("npm", "x", "9.0.0", Policy())


async def test_a_package_that_may_not_run_at_all_is_not_even_asked_for(shelf, registry):
    with pytest.raises(NotAllowedPackage):
        await shelf.choose("npm", "x", None, Policy(block=["x"]))
    assert registry.asked == []


async def test_a_name_that_there_is_not_is_told_with_the_one_that_was_meant(shelf, registry):
    for version in (None, "1.0.0"):
        with pytest.raises(NoSuchPackage, match=r"Did you mean npm:@modelcontextprotocol/server-gdrive\?"):
            await shelf.choose("npm", "@modelcontextprotocol/server-gdirve", version, Policy())
    with pytest.raises(NoSuchPackage, match=r"Did you mean pypi:fastmcp\?"):
        await shelf.choose("pypi", "fastmpc", None, Policy())


async def test_npms_search_is_used_and_where_there_is_none_names_are_looked_up(shelf, registry):
    registry.add_npm("harbour", "1.0.0")
    hits = [{"package": {"name": name, "version": "1.0.0"}} for name in ("harbour-mcp", "Bad Name", "-g")]
    registry.answers["/-/v1/search"] = (200, json.dumps({"objects": hits}).encode(), "application/json")
    found = await shelf.search("harbour", "npm")
    assert [hit.name for hit in found.found] == ["harbour-mcp"]
    del registry.answers["/-/v1/search"]
    found = await shelf.search("harbour", "npm")
    assert [hit.name for hit in found.found] == ["harbour"]
    assert "this npm registry has no search" in found.notes[0]


async def test_a_pypi_package_is_described_by_its_index_and_its_json(shelf, registry):
    registry.add_pypi("acme-server", "1.0", yanked="broken")
    entry = registry.add_pypi("acme-server", "2.0", requires=("leaf>=1",), **{"requires-python": ">=3.11"})
    registry.add_pypi("acme-server", "3.0rc1")
    package = await shelf.package("pypi", "acme-server")
    assert (package.latest, list(package.releases)) == ("2.0", ["3.0rc1", "2.0", "1.0"])
    assert (package.license, package.description) == ("MIT", "About acme-server")
    release = await shelf.choose("pypi", "acme-server", None, Policy())
    assert (release.version, release.dependencies, release.needs) == ("2.0", {"leaf": ">=1"}, ">=3.11")
    assert release.integrity == f"sha256:{entry['hashes']['sha256']}"
    assert "was taken back: broken" in shelf.warnings("pypi", "acme-server", package.releases["1.0"])[0]


async def test_an_index_of_html_without_json_is_read_and_dependencies_come_from_the_wheels_metadata(shelf, registry):
    registry.add_pypi("acme-server", "1.0", requires=("leaf",))
    del registry.pypi["acme-server"]
    registry.pypi_info.clear()
    link = '<a href="../../files/acme_server-1.0-py3-none-any.whl#sha256=ab" data-requires-python="&gt;=3.9">x</a>'
    page = f"<!DOCTYPE html><html><body>{link}<a href='evil-9.0-py3-none-any.whl'>y</a></body></html>"
    registry.answers["/simple/acme-server/"] = (200, page.encode(), SIMPLE_HTML)
    release = await shelf.choose("pypi", "acme-server", None, Policy())
    assert (release.version, release.integrity, release.needs) == ("1.0", "sha256:ab", ">=3.9")
    assert release.dependencies == {"leaf": ""}


async def test_a_wheel_of_this_machine_is_preferred_to_its_source_and_to_one_of_another(shelf, registry):
    registry.add_pypi("acme-server", "1.0")
    files = registry.pypi["acme-server"]
    other = {**files[0], "filename": "acme_server-1.0-cp311-cp311-win_amd64.whl", "hashes": {"sha256": "win"}}
    source = {**files[0], "filename": "acme_server-1.0.tar.gz", "hashes": {"sha256": "source"}}
    files[:0] = [source, other]
    registry.pypi["only-source"] = [{**source, "filename": "only_source-1.0.tar.gz"}]
    assert (await shelf.package("pypi", "acme-server")).releases["1.0"].file == "acme_server-1.0-py3-none-any.whl"
    assert (await shelf.package("pypi", "only-source")).releases["1.0"].scripts


async def test_the_first_index_that_has_a_package_is_the_one_that_it_is_taken_from(make_shelf, registry, registries):
    registry.add_pypi("acme-server", "1.0")
    page = {"name": "acme-server", "files": [{"filename": "acme_server-9.0-py3-none-any.whl", "url": "x"}]}
    registry.answers["/public/simple/acme-server/"] = (200, json.dumps(page).encode(), "application/json")
    registries.indexes = [Source(registry.index), Source(f"{registry.url}public/simple")]
    assert list((await make_shelf().package("pypi", "acme-server")).releases) == ["1.0"]
    del registry.pypi["acme-server"]
    assert list((await make_shelf().package("pypi", "acme-server")).releases) == ["9.0"]


@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
async def test_a_private_registry_is_given_its_token_which_no_error_or_log_repeats(
    registry, ecosystem, make_shelf, registries: Registries, caplog
):
    registry.add_npm("x", "1.0.0")
    registry.add_pypi("x", "1.0.0")
    registry.token = "Bearer s3cret-token"
    registries.tokens = {f"//{registry.url.removeprefix('http://')}": registry.token}
    registries.indexes = [Source(registry.index, {"authorization": registry.token})]
    caplog.set_level("DEBUG")
    assert (await make_shelf().package(ecosystem, "x")).latest == "1.0.0"
    registry.token = "Bearer another"
    with pytest.raises(PackageError, match="give it a token that may read") as caught:
        await make_shelf().package(ecosystem, "x")
    assert "s3cret-token" not in str(caught.value)
    assert "s3cret-token" not in caplog.text


async def test_a_tarball_on_another_host_is_not_given_the_token(registry, make_shelf, registries: Registries):
    """An index may name files that lie elsewhere: its credentials are not for there."""
    registry.add_pypi("x", "1.0", requires=("leaf",))
    registry.pypi_info.clear()
    file = registry.pypi["x"][0]
    file["url"] = file["url"].replace("127.0.0.1", "localhost")
    registries.indexes = [Source(registry.index, {"authorization": "Bearer s3cret"})]
    await make_shelf().release("pypi", "x", "1.0")
    sent = {path: header for path, header in registry.asked if path.endswith(".metadata")}
    assert list(sent.values()) == [None]
