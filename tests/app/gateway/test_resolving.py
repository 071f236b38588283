"""From a declared server to what is launched: all that is wrong is told at once, and nothing becomes an option."""

from __future__ import annotations

import pytest

from app.gateway.resolving import ResolveDelayed, ResolveError, ResolveOptions, Resolver
from app.gateway.spec import SecretRef, ServerSpec
from app.packages.facts import RegistryAway

POD = ResolveOptions(place="pod")


async def resolved(spec: ServerSpec, name="mine", **options):
    return await Resolver(options=ResolveOptions(**{"place": "pod", **options})).resolve(name, spec)


async def refusal(spec: ServerSpec, name="mine", **options) -> str:
    with pytest.raises(ResolveError) as caught:
        await resolved(spec, name, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({"type": "npx", "package": "@acme/s"}, ("npx", "-y", "--", "@acme/s")),
        ({"type": "npx", "package": "s", "version": "1.2.3"}, ("npx", "-y", "--", "s@1.2.3")),
        ({"type": "uv", "package": "Acme_S", "version": "1.0"}, ("uvx", "--from", "acme-s==1.0", "acme-s")),
    ],
)
async def test_a_package_becomes_a_command_in_which_options_end_before_it(given, command):
    hostile = ("--registry=http://evil", "; reboot", "$(reboot)")
    launch = await resolved(ServerSpec(args=hostile, **given))
    assert launch.command == (*command, *hostile)


@pytest.mark.parametrize(
    "name",
    [
        "-g",
        "--help",
        "a b",
        "a;b",
        "$(x)",
        "`x`",
        "../x",
        "/etc",
        "file:x",
        "git+ssh://x",
        "a@1",
        "a\nb",
        "A|B",
        "",
        "@/x",
        "x" * 300,
    ],
)
@pytest.mark.parametrize("kind", ["npx", "uv"])
async def test_a_name_that_is_none_is_refused_by_its_field(kind, name):
    assert "servers.mine.package " in await refusal(ServerSpec(type=kind, package=name))


@pytest.mark.parametrize("version", ["latest", "^1", "1.0;x", "--x", "1.0 ", "$(x)", "", "https://x"])
async def test_a_version_that_is_not_one_exact_version_is_refused(version):
    assert "servers.mine.version " in await refusal(ServerSpec(type="npx", package="s", version=version))


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "NODE_OPTIONS", "PYTHONPATH", "npm_config_registry", "UV_INDEX", "A B", "1A"]
)
async def test_a_variable_that_decides_what_runs_is_refused(name):
    told = await refusal(ServerSpec(type="npx", package="s", environment={name: "s3cret"}))
    assert f"environment.{name}" in told
    assert "s3cret" not in told


async def test_everything_that_is_wrong_is_told_at_once():
    told = await refusal(
        ServerSpec(type="uv", package="-x", version="^1", url="http://x", args=("a\0b",), environment={"PATH": "x"})
    )
    for field in ("package", "version", "url", "args[0]", "environment.PATH"):
        assert f"servers.mine.{field} " in told


@pytest.mark.parametrize(
    ("option", "spec", "variable"),
    [
        ("allow_npx", ServerSpec(type="npx", package="s"), "MCP_ALLOW_NPX"),
        ("allow_uv", ServerSpec(type="uv", package="s"), "MCP_ALLOW_UV"),
        ("allow_custom_images", ServerSpec(type="image", image="acme/s:1"), "MCP_ALLOW_CUSTOM_IMAGES"),
    ],
)
async def test_what_is_switched_off_is_refused_with_the_variable_that_says_so(option, spec, variable):
    assert f"{variable}=false does not allow" in await refusal(spec, **{option: False})
    assert await resolved(spec, **{option: True})


async def test_a_blocked_package_is_refused_and_what_is_on_no_allow_list():
    spec = ServerSpec(type="npx", package="event-stream", version="3.3.6")
    assert "forbidden by the block rule" in await refusal(spec, block=("npm:event-stream@3.3.6",))
    assert "is on no allow list" in await refusal(spec, allow=("@acme/*",))


async def test_a_type_is_needed_where_no_template_has_the_name_and_a_slip_is_told():
    assert "type is missing, and no template has this name" in await refusal(ServerSpec(package="x"))
    assert "did you mean time?" in await refusal(ServerSpec(template="tiem"))
    assert "contradicts the template time" in await refusal(ServerSpec(template="time", type="npx"))


async def test_a_key_that_is_a_templates_name_is_that_template_unless_it_says_its_type():
    assert (await resolved(ServerSpec(), name="time")).command[:3] == ("uvx", "--from", "mcp-server-time")
    other = await resolved(ServerSpec(type="npx", package="my-time"), name="time")
    assert other.command == ("npx", "-y", "--", "my-time")


async def test_paths_have_to_be_absolute_and_are_plain_arguments():
    launch = await resolved(ServerSpec(template="filesystem", allowed_paths=("/data", "/var/cache")))
    assert launch.command[-2:] == ("/data", "/var/cache")
    for path in ("data", "/data/../etc", "-x", "/a\nb"):
        assert "allowedPaths[0]" in await refusal(ServerSpec(template="filesystem", allowed_paths=(path,)))


async def test_secrets_are_references_in_pods_and_refused_for_processes():
    spec = ServerSpec(template="brave-search", secret_environment={"BRAVE_API_KEY": SecretRef("s", "k")})
    assert (await resolved(spec)).secret_environment == {"BRAVE_API_KEY": SecretRef("s", "k")}
    told = await refusal(spec, place="process")
    assert "names a Kubernetes Secret, and servers run as local processes: use environment.BRAVE_API_KEY" in told


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/mcp", "http://[::1]/mcp", "http://localhost/mcp", "http://169.254.169.254/", "http://0.0.0.0/x"],
)
async def test_an_address_on_our_own_machine_or_of_the_clouds_secrets_is_refused(url):
    told = await refusal(ServerSpec(type="remote", url=url))
    assert "MCP_GATEWAY_ALLOW_LOCAL_URLS=true allows it" in told


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://u:p@x.example/", "x", "http://", "http://x.example/#a", "http://x/ y"]
)
async def test_an_address_that_is_none_is_refused(url):
    assert "servers.mine.url " in await refusal(ServerSpec(type="remote", url=url), allow_local_urls=True)


@pytest.mark.parametrize(
    ("url", "transport"),
    [("https://x.example/mcp", "http"), ("https://x.example/sse", "sse"), ("wss://x.example/mcp", "websocket")],
)
async def test_the_transport_of_a_remote_server_follows_from_its_address(url, transport):
    launch = await resolved(ServerSpec(type="remote", url=url), allow_local_urls=True)
    assert (launch.transport, launch.command) == (transport, ())


async def test_a_registry_that_is_away_is_a_delay_and_not_a_refusal():
    class Away:
        async def pin(self, *_, **__):
            raise RegistryAway("https://registry.npmjs.org/ does not answer: try later")

    resolver = Resolver(options=POD, packages=Away())
    with pytest.raises(ResolveDelayed, match=r"servers.mine.package https://registry.npmjs.org/ does not answer"):
        await resolver.resolve("mine", ServerSpec(type="npx", package="s"))


async def test_a_deprecated_template_is_warned_about_with_its_successor():
    found = await Resolver(options=POD).explain(
        "slack-bot",
        ServerSpec(
            secret_environment={"SLACK_BOT_TOKEN": SecretRef("s", "k")}, environment={"SLACK_TEAM_ID": "T01234567"}
        ),
    )
    assert any("deprecated" in warning and "slack" in warning for warning in found.warnings)
