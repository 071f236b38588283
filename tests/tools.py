"""Installs the Debian packages that tests use, where it may; where it may not, says what their tests will skip for.

Builds FerretDB as well, a server that speaks MongoDB's protocol: MongoDB itself is in no package.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CLUSTER = Path(__file__).parent / "cluster"
# The program a test looks for, and the Debian package that has it.
NEEDED = {"redis-server": "redis-server", "haproxy": "haproxy", "chromium": "chromium"}


def missing() -> dict[str, str]:
    return {program: package for program, package in NEEDED.items() if shutil.which(program) is None}


def main() -> int:
    return install() or build_ferretdb()


def build_ferretdb() -> int:
    """A minute or two, once: the result is kept in the cache of the tests."""
    if shutil.which("go") is None:
        print("› the tests on MongoDB will skip: install Go 1.24 or later to run them")
        return 0
    done = subprocess.run([sys.executable, "-m", "harness.build", "ferretdb"], cwd=CLUSTER)
    return done.returncode if os.environ.get("CI") == "true" else 0


def install() -> int:
    absent = missing()
    if not absent:
        return 0
    packages = sorted(set(absent.values()))
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"› some tests will skip: install {' '.join(packages)} to run them")
        return 0
    print(f"› install {' '.join(packages)}, which tests use", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    install = [*quiet, "install", "-y", "--no-install-recommends", *packages]
    for command in ([*quiet, "update"], install):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{' '.join(command)} failed:\n{done.stderr}", file=sys.stderr)
            return done.returncode if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
