"""How images are made of files, without a registry and without root."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from harness.build import BuildError
from harness.dockerfile import Builder, instructions
from harness.images import references
from harness.oci import Settings, Store
from harness.places import REPOSITORY


def test_an_image_is_named_by_what_is_in_it_and_its_layers_unpack_to_the_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    layer = store.files({"bin/it": b"#!/bin/sh\n", "etc/it": b"x"}, ["tmp"])
    digest = store.image("it", [layer], Settings(command=["it"], environment={"A": "b"}, user="1000"))
    assert store.digest("it") == digest
    assert store.layers("it") == [layer]
    packed = (store.blobs / layer.digest.removeprefix("sha256:")).read_bytes()
    assert hashlib.sha256(packed).hexdigest() == layer.digest.removeprefix("sha256:")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        modes = {entry.name: oct(entry.mode) for entry in archive}
    assert modes == {"tmp": "0o1777", "bin/it": "0o755", "etc/it": "0o644"}
    manifest = json.loads((store.blobs / digest.removeprefix("sha256:")).read_bytes())
    config = json.loads((store.blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    assert config["config"]["Env"] == ["A=b"]
    assert config["rootfs"]["diff_ids"] == [layer.diff]


def test_blobs_that_no_image_names_any_more_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.image("it", [store.files({"a": b"1"})], Settings())
    before = {blob.name for blob in store.blobs.iterdir()}
    store.image("it", [store.files({"a": b"2"})], Settings())
    store.forget_unused()
    after = {blob.name for blob in store.blobs.iterdir()}
    assert len(after) == 3
    assert not before & after


def test_a_folder_is_packed_with_its_modes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "program").write_text("x")
    (root / "program").chmod(0o750)
    store = Store(tmp_path / "store")
    layer = store.tree(root)
    packed = (store.blobs / layer.digest.removeprefix("sha256:")).read_bytes()
    assert len(packed) == layer.size
    assert f"sha256:{hashlib.sha256(gzip.decompress(packed)).hexdigest()}" == layer.diff
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        assert archive.getmember("./program").mode == 0o750


def test_a_dockerfiles_steps_are_read_over_line_ends_and_comments() -> None:
    text = '# A comment\nARG A=b\n\nRUN one \\\n    && two\n  # inside\nCMD ["it"]\n'
    assert instructions(text) == [("ARG", "A=b"), ("RUN", "one  && two"), ("CMD", '["it"]')]


def test_the_harness_knows_every_instruction_of_the_projects_dockerfile() -> None:
    used = {name for name, _ in instructions((REPOSITORY / "app" / "Dockerfile").read_text(encoding="utf-8"))}
    assert {name for name in used if not hasattr(Builder, f"_{name.lower()}")} == set()


def test_an_instruction_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nHEALTHCHECK CMD true\n")
    with pytest.raises(BuildError, match="HEALTHCHECK is not known"):
        Builder(tmp_path, tmp_path, tmp_path).build(tmp_path / "Dockerfile")


def test_a_copy_is_a_layer_and_is_made_again_only_when_a_file_has_changed(tmp_path: Path) -> None:
    context, work = tmp_path / "context", tmp_path / "work"
    (context / "app").mkdir(parents=True)
    work.mkdir()
    (context / "app" / "it.py").write_text("1")
    (context / "Dockerfile").write_text(
        'FROM base\nWORKDIR /src\nCOPY app app\nENV A=b C=$A\nUSER 1000\nCMD ["it", "now"]\n'
    )

    def layers() -> list[Path]:
        return Builder(context, tmp_path, work).build(context / "Dockerfile").layers

    stage = Builder(context, tmp_path, work).build(context / "Dockerfile")
    assert (stage.layers[0] / "upper/src/app/it.py").read_text() == "1"
    assert stage.settings.command == ["it", "now"]
    assert stage.settings.environment["C"] == "b"
    assert layers() == stage.layers
    (context / "app" / "it.py").write_text("2")
    assert layers() != stage.layers


def test_a_stacks_default_images_are_stood_in_for_under_their_own_names() -> None:
    known = references()
    assert "/library/redis:" in known["redis"]
    assert "/library/mongo:" in known["mongo"]
    assert known["app"].rpartition("/")[2] == "slipway:test"


def test_a_target_is_built_from_the_stages_that_it_needs_and_no_others(tmp_path: Path) -> None:
    context, work = tmp_path / "context", tmp_path / "work"
    context.mkdir()
    work.mkdir()
    for name in ("one", "two", "never"):
        (context / name).write_text(name)
    (context / "Dockerfile").write_text(
        "ARG BASE\nFROM base AS one\nCOPY one /one\nFROM one AS app\nENV A=b\nUSER 1000\n"
        "FROM base AS unused\nCOPY never /never\n"
        'FROM app AS more\nCOPY two /two\nCMD ["more"]\nFROM app\n'
    )
    more = Builder(context, tmp_path, work).build(context / "Dockerfile", "more")
    assert [sorted(file.name for file in (layer / "upper").rglob("*") if file.is_file()) for layer in more.layers] == [
        ["one"],
        ["two"],
    ]
    assert more.settings == Settings(command=["more"], environment=more.environment, user="1000", folder="/")
    assert more.environment["A"] == "b"
    last = Builder(context, tmp_path, work).build(context / "Dockerfile")
    assert last.layers == more.layers[:1]
    assert last.settings.command == []
