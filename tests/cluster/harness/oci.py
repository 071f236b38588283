"""Images written as files: one store of blobs, and a layout for each image that `crane push` understands."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Layer:
    """A compressed layer in the store."""

    digest: str
    size: int
    # The digest of what it unpacks to.
    diff: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a container of the image runs, unless its pod says otherwise."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = ""


class Store:
    """A folder of blobs, named by their digests, and of image layouts that share them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)

    def tree(self, root: Path) -> Layer:
        """A layer of everything in a folder, with its owners and modes."""
        part = self.blobs / f"layer.{os.getpid()}.part"
        plain, packed = hashlib.sha256(), hashlib.sha256()
        command = ["tar", "--create", "--sort=name", "--numeric-owner", "--one-file-system", f"--directory={root}", "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar, part.open("wb") as file:
            writer = _Hashing(file, packed)
            with gzip.GzipFile(fileobj=writer, mode="wb", compresslevel=1, mtime=0, filename="") as archive:
                while tar.stdout is not None and (chunk := tar.stdout.read(1 << 20)):
                    plain.update(chunk)
                    archive.write(chunk)
        if tar.returncode:
            part.unlink()
            raise RuntimeError(f"{root} could not be packed: tar ended with {tar.returncode}")
        part.rename(self.blobs / packed.hexdigest())
        size = (self.blobs / packed.hexdigest()).stat().st_size
        return Layer(f"sha256:{packed.hexdigest()}", size, f"sha256:{plain.hexdigest()}")

    def files(self, files: Mapping[str, Path | bytes], folders: Sequence[str] = ()) -> Layer:
        """A layer of some files, each by its path in the image; programs keep being programs."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for folder in folders:
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
                archive.addfile(entry)
            for name, source in sorted(files.items()):
                content = source if isinstance(source, bytes) else source.read_bytes()
                entry = tarfile.TarInfo(name)
                executable = content[:2] == b"#!" or (not isinstance(source, bytes) and os.access(source, os.X_OK))
                entry.size, entry.mode = len(content), 0o755 if executable else 0o644
                archive.addfile(entry, io.BytesIO(content))
        plain = buffer.getvalue()
        packed = gzip.compress(plain, compresslevel=1, mtime=0)
        digest = self._put(packed)
        return Layer(digest, len(packed), f"sha256:{hashlib.sha256(plain).hexdigest()}")

    def image(self, name: str, layers: Sequence[Layer], settings: Settings) -> str:
        """Write an image's layout into `folder / name`; returns its digest."""
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(settings.entrypoint),
                "Cmd": list(settings.command),
                "Env": [f"{key}={value}" for key, value in settings.environment.items()],
                "User": settings.user,
                "WorkingDir": settings.folder,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff for layer in layers]},
        }
        body = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _entry(CONFIG, self._put(body), len(body)),
            "layers": [_entry(LAYER, layer.digest, layer.size) for layer in layers],
        }
        text = json.dumps(manifest).encode()
        digest = self._put(text)
        layout = self.folder / name
        layout.mkdir(exist_ok=True)
        if not (layout / "blobs").is_symlink():
            (layout / "blobs").symlink_to("../blobs")
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
        index = {"schemaVersion": 2, "manifests": [_entry(MANIFEST, digest, len(text))]}
        (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")
        return digest

    def digest(self, name: str) -> str:
        """The digest of an image that was written."""
        index = json.loads((self.folder / name / "index.json").read_text(encoding="utf-8"))
        return index["manifests"][0]["digest"]

    def layers(self, name: str) -> list[Layer]:
        """The layers of an image that was written, to put others on."""
        manifest = self._json(self.digest(name))
        diffs = self._json(manifest["config"]["digest"])["rootfs"]["diff_ids"]
        return [
            Layer(entry["digest"], entry["size"], diff) for entry, diff in zip(manifest["layers"], diffs, strict=True)
        ]

    def forget_unused(self) -> None:
        """Remove the blobs that no image's layout names any more."""
        used = set()
        for index in self.folder.glob("*/index.json"):
            digest = self.digest(index.parent.name)
            manifest = self._json(digest)
            used |= {digest, manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}
        for blob in self.blobs.iterdir():
            if f"sha256:{blob.name}" not in used:
                blob.unlink()

    def _json(self, digest: str) -> dict[str, Any]:
        return json.loads((self.blobs / digest.removeprefix("sha256:")).read_bytes())

    def _put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not (self.blobs / digest).exists():
            part = self.blobs / f"{digest}.{os.getpid()}.part"
            part.write_bytes(content)
            part.rename(self.blobs / digest)
        return f"sha256:{digest}"


class _Hashing:
    """A file whose content is hashed as it is written."""

    def __init__(self, file: Any, hasher: Any) -> None:
        self._file, self._hasher = file, hasher

    def write(self, data: bytes) -> int:
        self._hasher.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _entry(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}
