"""What outlives a gateway: servers that shall run, and those that run already."""

import json
import stat

import pytest

from app.gateway.launcher import Launched
from app.gateway.manager.manager import Manager
from app.gateway.manager.store import FileStore, StoreError
from app.gateway.spec import ServerSpec

ONE = ServerSpec(type="npx", package="one", environment={"KEY": "s3cret"})


async def started(yard, store, **options) -> Manager:
    return await yard.manager(store=store, **options)


async def test_started_servers_outlive_a_restart_with_the_versions_they_had(yard, tmp_path, until):
    manager = await started(yard, FileStore(tmp_path / "state.json"))
    await manager.start("one", ONE)
    await manager.start("two", ServerSpec(type="npx", package="two"), ttl=1000)
    await manager.stop("two")
    await manager.settled("one", 5)
    await manager.close()
    yard.launcher.running.clear()
    yard.resolver.version = "2"
    again = await started(yard, FileStore(tmp_path / "state.json"))
    await until(lambda: [status.phase for status in again.list()] == ["ready"])
    assert again.get("one").package == "one@1"
    assert yard.resolver.asked == ["one", "two"]


async def test_a_time_to_live_goes_on_over_a_restart(yard, tmp_path, until):
    manager = await started(yard, FileStore(tmp_path / "state.json"))
    await manager.start("one", ONE, ttl=1000)
    await manager.start("two", ServerSpec(type="npx", package="two"), ttl=0.3)
    before = manager.get("one").expires
    await manager.close()
    yard.launcher.running.clear()
    again = await started(yard, FileStore(tmp_path / "state.json"))
    await until(lambda: [status.id for status in again.list()] == ["one"])
    assert again.get("one").expires == before
    assert list(await again.store.load()) == ["one"]


async def test_a_server_whose_time_is_over_is_stopped_though_its_file_could_not_be_written_just_then(
    yard, tmp_path, until, caplog
):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    manager = await started(yard, FileStore(folder / "state.json"))
    await manager.start("one", ONE, ttl=0.2)
    folder.rename(elsewhere)
    folder.write_text("no folder any more")
    await until(lambda: "stop refused" in caplog.text)
    assert [status.id for status in manager.list()] == ["one"]
    folder.unlink()
    elsewhere.rename(folder)
    await until(lambda: manager.list() == [])
    await until(lambda: yard.launcher.running == {})


async def test_the_file_is_for_its_owner_only_and_never_half_written(yard, tmp_path):
    path = tmp_path / "folder" / "state.json"
    manager = await started(yard, FileStore(path))
    await manager.start("one", ONE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())[0]["spec"]["environment"] == {"KEY": "s3cret"}
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


async def test_a_file_that_is_no_list_of_servers_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StoreError, match=r"MCP_GATEWAY_STATE=.* cannot be read"):
        await FileStore(tmp_path / "state.json").start()


async def test_a_file_that_cannot_be_written_refuses_the_start_and_nothing_runs(yard, tmp_path):
    (tmp_path / "folder").mkdir()
    manager = await started(yard, FileStore(tmp_path / "folder" / "state.json"))
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").write_text("no folder any more")
    with pytest.raises(StoreError, match="cannot be written"):
        await manager.start("one", ONE)
    assert manager.list() == []
    assert yard.launcher.running == {}


async def test_what_runs_already_is_taken_up_as_it_is(yard, tmp_path, until):
    first = await started(yard, FileStore(tmp_path / "s"), place="pod")
    await first.start("one", ONE)
    await first.settled("one", 5)
    await first.close()
    spec = yard.launcher.running["one"]
    yard.launcher.left = [Launched("one", "running", spec.digest(), yard.launcher.endpoint("one"))]
    again = await started(yard, FileStore(tmp_path / "s"), place="pod")
    await again.sweep()
    await until(lambda: [status.phase for status in again.list()] == ["ready"])
    assert yard.launcher.started == ["one"]
    assert yard.launcher.stopped == []


async def test_what_runs_with_another_spec_is_started_anew(yard, tmp_path, until):
    manager = await started(yard, FileStore(tmp_path / "s"), place="pod")
    await manager.start("one", ONE)
    await manager.settled("one", 5)
    await manager.close()
    yard.launcher.left = [Launched("one", "running", "0" * 16, yard.launcher.endpoint("one"))]
    again = await started(yard, FileStore(tmp_path / "s"), place="pod")
    await until(lambda: [status.phase for status in again.list()] == ["ready"])
    assert yard.launcher.started == ["one", "one"]


async def test_what_runs_and_nobody_wants_is_stopped(yard):
    yard.launcher.left = [Launched("ghost", "running", "0" * 16, yard.launcher.endpoint("ghost"))]
    manager = await started(yard, None)
    await manager.sweep()
    assert yard.launcher.stopped == ["ghost"]


async def test_what_a_package_was_resolved_to_is_forgotten_where_it_no_longer_starts(yard, tmp_path, until):
    first = await started(yard, FileStore(tmp_path / "s"))
    await first.start("one", ONE)
    await first.settled("one", 5)
    await first.close()
    yard.launcher.running.clear()
    yard.resolver.version = "2"
    yard.launcher.failing["one"] = "its folder is gone"
    again = await started(yard, FileStore(tmp_path / "s"))
    await until(lambda: len(yard.resolver.asked) > 1)
    del yard.launcher.failing["one"]
    await until(lambda: [status.phase for status in again.list()] == ["ready"])
    assert yard.launcher.running["one"].pin.version == "2"
