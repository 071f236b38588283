"""The root file system that images with more than one program stand on: Debian, as debootstrap makes it."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from harness.build import BuildError
from harness.places import CACHE

SUITE = "bookworm"
# Python for the app, and what the stores of a stack run on; one base, so that a node unpacks it once.
PACKAGES = ("python3", "python3-venv", "ca-certificates", "redis-server", "redis-sentinel", "redis-tools", "haproxy")
# What no program reads, and would be half of the image.
UNREAD = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
MINUTES = 20


def folder() -> Path:
    """Where it is, or will be."""
    digest = hashlib.sha256(repr((SUITE, PACKAGES, UNREAD)).encode()).hexdigest()[:12]
    return CACHE / "base" / f"{SUITE}-{digest}"


def make() -> Path:
    """The folder of the root file system, made if it is missing."""
    made = folder()
    if made.exists():
        return made
    part = made.with_name(f"{made.name}.part")
    _remove(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    bootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(part)]
    # What it mounts ends with it, however it ends.
    command = ["unshare", "--mount", *bootstrap]
    with (made.parent / "debootstrap.log").open("w+", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=60 * MINUTES)
        log.seek(0)
        if done.returncode:
            raise BuildError(f"debootstrap failed:\n{''.join(log.readlines()[-15:])}")
    for unread in UNREAD:
        shutil.rmtree(part / unread, ignore_errors=True)
    # apt wants the folder, should anybody use it in a container.
    (part / "var/lib/apt/lists/partial").mkdir(parents=True)
    # The user of the app; pods name it by number.
    with (part / "etc/passwd").open("a", encoding="utf-8") as users:
        users.write("app:x:1000:1000::/tmp:/usr/sbin/nologin\n")
    part.rename(made)
    return made


def _remove(tree: Path) -> None:
    """Never through a mount: what a killed run left holds none, for they ended with it."""
    if tree.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)
