"""Packages installed by npm and uv themselves, from a registry of the test's own: what is pinned is what runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from app.packages.installing import Installer, InstallError, InstallRefused
from app.packages.policy import Policy

ANY = Policy()
ARGUMENTS = ["$(touch owned)", "; touch owned", "`touch owned`", "a b", "--flag", "*", "'\"\\", "|| touch owned"]
PRINT = "console.log(JSON.stringify(process.argv.slice(2)))"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "packages"


@pytest.fixture
def installer(folder, client_environment) -> Installer:
    return Installer(folder, client_environment, seconds=120)


def said_by(command, *arguments) -> str:
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def nothing_is_left(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


class Npm:
    """A package with one dependency, as the registry of the test has it."""

    def __init__(self, registry, make_tarball) -> None:
        registry.add_npm("leaf", "1.0.0")
        body = make_tarball("@acme/server", "1.0.0", PRINT, dependencies={"leaf": "^1"})
        self.manifest = registry.add_npm("@acme/server", "1.0.0", body=body, dependencies={"leaf": "^1"})
        self.integrity = self.manifest["dist"]["integrity"]


@pytest.fixture
def npm(registry, make_tarball) -> Npm:
    return Npm(registry, make_tarball)


async def test_an_npm_package_is_installed_once_and_started_without_npx_or_a_shell(installer, npm, registry, folder):
    command = await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)
    assert Path(command[0]).name == "node"
    # Arguments reach the program as they are, whatever a shell would make of them.
    assert json.loads(said_by(command, *ARGUMENTS)) == ARGUMENTS
    assert not list(Path.cwd().glob("owned"))
    assert installer.tree("npm", "@acme/server", "1.0.0", npm.integrity) == [
        ("@acme/server", "1.0.0"),
        ("leaf", "1.0.0"),
    ]
    # Once installed, no registry is needed, and two installers agree on the place.
    asked = len(registry.asked)
    again = await Installer(folder, {"PATH": installer._clients._environment["PATH"]}).install(
        "npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY
    )
    assert (again, len(registry.asked)) == (command, asked)
    with pytest.raises(InstallRefused, match="has no program 'other': it has server"):
        await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY, program="other")


async def test_starts_at_the_same_moment_install_it_once_and_leave_nothing_half_done(npm, client_environment, folder):
    installers = [Installer(folder, client_environment, seconds=120) for _ in range(2)]
    commands = await asyncio.gather(
        *(
            installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)
            for installer in [*installers, installers[0]]
        )
    )
    assert len(set(commands)) == 1
    assert [entry.name.startswith("npm-acme-server-1.0.0-") for entry in folder.iterdir()] == [True]


async def test_a_tarball_that_was_changed_is_not_installed(installer, npm, registry, make_tarball, folder):
    registry.files["/@acme/server/-/server-1.0.0.tgz"] = make_tarball("@acme/server", "1.0.0", "console.log('owned')")
    with pytest.raises(InstallError, match="EINTEGRITY"):
        await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)
    assert nothing_is_left(folder)


async def test_a_version_whose_integrity_is_another_than_was_pinned_is_refused(installer, npm, registry, folder):
    pinned = npm.integrity
    registry.add_npm("@acme/server", "1.0.0", body=b"something else", dependencies={})
    with pytest.raises(InstallRefused, match="was pinned: nothing was installed"):
        await installer.install("npm", "@acme/server", "1.0.0", pinned, policy=ANY)
    assert nothing_is_left(folder)


async def test_a_blocked_dependency_is_refused_before_and_after_it_was_installed(installer, npm, folder):
    blocked = Policy(block=["npm:leaf@<2"])
    with pytest.raises(InstallRefused, match=r"leaf 1.0.0 .* is forbidden by the block rule"):
        await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=blocked)
    assert nothing_is_left(folder)
    await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)
    with pytest.raises(InstallRefused, match=r"leaf 1.0.0 .* is forbidden by the block rule"):
        await installer.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=blocked)


async def test_an_alias_is_judged_by_the_package_behind_it(installer, registry, make_tarball):
    registry.add_npm("evil", "1.0.0")
    wanted = {"harmless": "npm:evil@^1"}
    body = make_tarball("top", "1.0.0", dependencies=wanted)
    manifest = registry.add_npm("top", "1.0.0", body=body, dependencies=wanted)
    with pytest.raises(InstallRefused, match=r"npm:evil 1.0.0 .* is forbidden"):
        await installer.install("npm", "top", "1.0.0", manifest["dist"]["integrity"], policy=Policy(block=["evil"]))


async def test_a_dependency_from_an_address_is_refused(installer, registry, make_tarball, folder):
    registry.files["/elsewhere.tgz"] = make_tarball("x", "1.0.0")
    wanted = {"x": f"{registry.url}elsewhere.tgz"}
    manifest = registry.add_npm(
        "top", "1.0.0", body=make_tarball("top", "1.0.0", dependencies=wanted), dependencies=wanted
    )
    with pytest.raises(InstallRefused, match=r"npm:top 1.0.0 needs .*elsewhere.tgz.*, which is in no registry"):
        await installer.install("npm", "top", "1.0.0", manifest["dist"]["integrity"], policy=ANY)
    assert nothing_is_left(folder)


async def test_nothing_of_a_package_runs_while_it_is_installed(installer, registry, make_tarball, tmp_path):
    mark = tmp_path / "owned"
    scripts = {"scripts": {"postinstall": f"touch {mark}", "install": f"touch {mark}"}}
    body = make_tarball("top", "1.0.0", **scripts)
    manifest = registry.add_npm("top", "1.0.0", body=body, hasInstallScript=True, **scripts)
    command = await installer.install("npm", "top", "1.0.0", manifest["dist"]["integrity"], policy=ANY)
    assert said_by(command) == "hello"
    assert not mark.exists()


async def test_an_installation_that_takes_too_long_leaves_nothing_and_may_be_tried_again(
    npm, client_environment, folder
):
    hasty = Installer(folder, client_environment, seconds=0.01)
    with pytest.raises(InstallError, match="took more than 0 s: try again"):
        await hasty.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)
    assert nothing_is_left(folder)


async def test_a_program_outside_of_its_package_is_refused(installer, registry, make_tarball):
    escaping = {"bin": {"top": "../../../../etc/hostname"}}
    manifest = registry.add_npm("top", "1.0.0", body=make_tarball("top", "1.0.0", **escaping), **escaping)
    with pytest.raises(InstallRefused, match=r"which is no file of the package|has no program"):
        await installer.install("npm", "top", "1.0.0", manifest["dist"]["integrity"], policy=ANY)


async def test_without_npm_the_remedy_is_told(npm, tmp_path, folder):
    alone = Installer(folder, {"PATH": str(tmp_path)})
    with pytest.raises(InstallError, match=r"npm is not on PATH: install Node.js with npm, or set MCP_ALLOW_NPX=false"):
        await alone.install("npm", "@acme/server", "1.0.0", npm.integrity, policy=ANY)


def sha256(entry) -> str:
    return f"sha256:{entry['hashes']['sha256']}"


@pytest.fixture
def entry(registry):
    registry.add_pypi("leaf", "1.0")
    return registry.add_pypi("acme-server", "1.0", requires=("leaf",))


async def test_a_pypi_package_is_installed_by_its_hashes_and_started_by_its_own_python(installer, entry, registry):
    command = await installer.install("pypi", "acme-server", "1.0", sha256(entry), policy=ANY)
    assert said_by(command, *ARGUMENTS) == "hello"
    assert installer.tree("pypi", "acme-server", "1.0", sha256(entry)) == [("acme-server", "1.0"), ("leaf", "1.0")]
    asked = len(registry.asked)
    assert await installer.install("pypi", "acme-server", "1.0", sha256(entry), policy=ANY) == command
    assert len(registry.asked) == asked
    with pytest.raises(InstallRefused, match=r"leaf 1.0 .* is forbidden"):
        await installer.install("pypi", "acme-server", "1.0", sha256(entry), policy=Policy(block=["pypi:leaf"]))


async def test_a_wheel_that_was_changed_is_not_installed(installer, entry, registry, make_wheel, folder):
    name, body = make_wheel("acme-server", "1.0", "print('owned')", ("leaf",))
    registry.files[f"/files/{name}"] = body
    with pytest.raises(InstallError, match=r"(?i)hash"):
        await installer.install("pypi", "acme-server", "1.0", sha256(entry), policy=ANY)
    assert nothing_is_left(folder)


async def test_a_file_that_is_no_longer_the_pinned_one_is_refused(installer, entry, folder):
    with pytest.raises(InstallRefused, match="any more, which was pinned: nothing was installed"):
        await installer.install("pypi", "acme-server", "1.0", f"sha256:{'0' * 64}", policy=ANY)
    assert nothing_is_left(folder)


async def test_a_package_without_a_program_of_its_name_tells_those_that_it_has(installer, registry, make_wheel):
    entry = registry.add_pypi("library", "1.0", body=make_wheel("library", "1.0", script="other")[1])
    with pytest.raises(InstallRefused, match="pypi:library has no program 'library': its environment has other;"):
        await installer.install("pypi", "library", "1.0", sha256(entry), policy=ANY)


@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
async def test_credentials_of_a_registry_reach_it_and_never_a_message(
    ecosystem, npm, entry, registry, client_environment, folder
):
    secret = "s3cret-s3cret"
    host = registry.url.removeprefix("http:")
    environment = {
        **client_environment,
        f"npm_config_{host}:_authToken": secret,
        "UV_DEFAULT_INDEX": registry.index.replace("://", f"://me:{secret}@"),
    }
    registry.token = "Bearer other"
    pinned = ("@acme/server", "1.0.0", npm.integrity) if ecosystem == "npm" else ("acme-server", "1.0", sha256(entry))
    with pytest.raises(InstallError) as caught:
        await Installer(folder, environment, seconds=120).install(ecosystem, *pinned, policy=ANY)
    assert any(header for _, header in registry.asked)
    assert secret not in str(caught.value)
    assert nothing_is_left(folder)
