"""What the configuration file declares, and what happens when it changes."""

import json
import os

import pytest

from app.gateway.manager.declaration import Declaration, DeclarationError, read_declaration
from app.gateway.manager.model import Conflict
from app.gateway.manager.reconciler import Reconciler
from app.gateway.spec import SecretRef, ServerSpec
from app.lifecycle import Amiss
from infra.components.gateway._args import ExternalServer, GatewayArgs, GatewaySecurity
from infra.components.gateway._declaration import declaration

TWO = """
servers:
  braveSearch: {template: brave-search}
  files: {type: npx, package: server-filesystem, allowedPaths: [/tmp], args: [-v]}
"""


def problems(text: str) -> dict[str, str]:
    with pytest.raises(DeclarationError) as caught:
        read_declaration("gateway.yaml", text)
    return {problem.field: f"{problem.value} {problem.remedy}" for problem in caught.value.problems}


def test_what_a_stack_writes_is_read_as_it_was_meant():
    args = GatewayArgs(
        namespace="n",
        image="i",
        servers={
            "braveSearch": ExternalServer(secret_environment={"BRAVE_API_KEY": "s3cret"}),
            "files": ExternalServer(template="filesystem", allowed_paths=("/tmp", "/var/cache")),
            "off": ExternalServer(enabled=False),
        },
        security=GatewaySecurity(allow_uv=False),
        block=("evil*",),
    )
    text = declaration(args, pod_labels={"a": "b"}, secrets={"braveSearch": "gateway-server-brave-search"})
    read = read_declaration("gateway.yaml", text)
    assert read.servers == {
        "braveSearch": ServerSpec(
            secret_environment={"BRAVE_API_KEY": SecretRef("gateway-server-brave-search", "BRAVE_API_KEY")}
        ),
        "files": ServerSpec(template="filesystem", allowed_paths=("/tmp", "/var/cache")),
    }
    assert (read.security.allow_npx, read.security.allow_uv) == (True, False)
    assert read.packages.block == ("evil*",)
    assert read.pods.labels == {"a": "b"}
    assert set(read.pods.resources) == {"requests", "limits"}


def test_an_empty_file_declares_nothing():
    assert read_declaration("gateway.yaml", "") == Declaration()
    assert read_declaration("gateway.yaml", "servers:\n") == Declaration()


def test_every_mistake_of_a_file_is_told_with_its_path_and_no_secret():
    found = problems(
        """
servers:
  one: {typ: npx, port: many}
  two: {type: npx, package: "a b", environment: {TOKEN: "s3cret\\0"}}
  "bad name!": {}
  braveSearch: {}
  brave-search: {}
  three: [1]
  four: {secretEnvironment: {KEY: {secret: s}}}
security: {allowNpx: perhaps}
servrs: {}
"""
    )
    assert {name: text.partition(" is ")[0] for name, text in found.items()} == {
        "servers.one.typ": "this key",
        "servers.one.port": "its value",
        "servers.two.package": "'a b'",
        "servers.two.environment.TOKEN": "(hidden) has a control character: remove it",
        "servers.bad name!": "'bad name!'",
        "servers.brave-search": "'brave-search'",
        "servers.three": "list",
        "servers.four.secretEnvironment[...]": "its value",
        "security.allowNpx": "its value",
        "servrs": "this key",
    }
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("servers: {a: {}, a: {}}", "the key 'a' is there twice"),
        ("servers: [", "is no YAML"),
        ("a: !!python/object:os.system {}", "is no YAML"),
        ("- 1", "is no object"),
    ],
)
def test_what_is_no_configuration_is_told(text, told):
    assert told in str(problems(text))


def test_json_is_read_too():
    assert read_declaration("g.json", json.dumps({"servers": {"time": {"type": "uv", "package": "t"}}})).servers


def test_virtual_servers_choose_servers_and_tools():
    read = read_declaration("g", "virtual: {writing: {servers: [braveSearch], tools: ['brave-search_*']}}")
    assert read.virtual["writing"].servers == ("brave-search",)
    assert read.virtual["writing"].tools == ("brave-search_*",)


@pytest.fixture
async def followed(yard, tmp_path):
    """A manager that does what a file says; the file is followed closely."""
    path = tmp_path / "gateway.yaml"
    path.write_text(TWO)
    manager = await yard.manager()
    reconciler = Reconciler(manager, path, every=0.01)
    await reconciler.open()
    yield manager, path, reconciler
    await reconciler.close()


async def test_declared_servers_are_started(followed, until):
    manager, _, _ = followed
    await until(lambda: [status.phase for status in manager.list()] == ["ready", "ready"])
    assert [(status.id, status.name, status.source) for status in manager.list()] == [
        ("brave-search", "braveSearch", "declared"),
        ("files", "files", "declared"),
    ]


async def test_a_changed_file_is_carried_out_and_what_did_not_change_runs_on(followed, yard, until):
    manager, path, _ = followed
    await until(lambda: [status.phase for status in manager.list()] == ["ready", "ready"])
    path.write_text("servers: {files: {type: npx, package: other}, new: {type: npx, package: new}}")
    await until(lambda: [status.id for status in manager.list()] == ["files", "new"])
    await until(lambda: sorted(yard.launcher.running) == ["files--2", "new"])
    assert manager.get("files").package == "other@1"
    path.write_text("servers: {files: {type: npx, package: other}, new: {type: npx, package: new}}\n# the same")
    await until(lambda: [status.phase for status in manager.list()] == ["ready", "ready"])
    assert yard.launcher.started.count("files--2") == 1


async def test_a_swapped_link_is_a_changed_file(yard, tmp_path, until):
    for version, server in (("1", "one"), ("2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "gateway.yaml").write_text(f"servers: {{{server}: {{type: npx, package: p}}}}")
        os.utime(tmp_path / version / "gateway.yaml", (1, 1))
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "gateway.yaml").symlink_to("..data/gateway.yaml")
    manager = await yard.manager()
    reconciler = Reconciler(manager, tmp_path / "gateway.yaml", every=0.01)
    await reconciler.open()
    assert [status.id for status in manager.list()] == ["one"]
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").replace(tmp_path / "..data")
    await until(lambda: [status.id for status in manager.list()] == ["two"])
    await reconciler.close()


async def test_a_wrong_file_changes_nothing_and_ready_says_why(followed, yard, until, caplog):
    manager, path, reconciler = followed
    await until(lambda: [status.phase for status in manager.list()] == ["ready", "ready"])
    path.write_text("servers: {files: {prot: 1}, more: {port: 0}}")
    await until(lambda: len(reconciler.problems) == 2)
    with pytest.raises(Amiss, match=r"gateway\.yaml: servers\.files\.prot: this key is unknown"):
        await reconciler.check()
    assert "servers.more.port: 0 is no port" in caplog.text
    assert sorted(yard.launcher.running) == ["brave-search", "files"]
    path.write_text(TWO)
    await until(lambda: reconciler.problems == ())
    await reconciler.check()


async def test_a_file_that_is_gone_changes_nothing(followed, yard, until):
    manager, path, reconciler = followed
    path.unlink()
    await until(lambda: bool(reconciler.problems))
    assert "cannot be read: No such file or directory" in reconciler.problems[0]
    assert len(manager.list()) == 2


async def test_a_file_that_is_wrong_from_the_beginning_is_an_error(yard, tmp_path):
    (tmp_path / "g.yaml").write_text("servers: 7")
    with pytest.raises(DeclarationError, match="servers: int is no object"):
        await Reconciler(await yard.manager(), tmp_path / "g.yaml").open()


async def test_a_declared_server_can_be_stopped_and_changed_in_the_file_only(followed):
    manager, _, _ = followed
    with pytest.raises(Conflict, match="declared in the configuration file"):
        await manager.stop("files")
    with pytest.raises(Conflict, match="declared in the configuration file"):
        await manager.start("files", ServerSpec(type="npx", package="mine"), replace=True)


async def test_new_rules_stop_what_may_no_longer_run(yard, until):
    manager = await yard.manager(policy="mild")
    await manager.start("calc", ServerSpec(type="npx", package="calc"))
    await manager.start("time", ServerSpec(type="npx", package="time"))
    await until(lambda: [status.phase for status in manager.list()] == ["ready", "ready"])
    yard.resolver.refused["calc"] = "is blocked"
    await manager.obey("strict")
    await until(lambda: list(yard.launcher.running) == ["time"])
    assert manager.get("calc").phase == "failed"
    assert "is blocked" in manager.get("calc").reason
    await until(lambda: manager.get("time").phase == "ready")
    assert yard.launcher.started.count("time") == 1
