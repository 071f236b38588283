"""Where the harness keeps things: what is built once outlives a run, everything else goes with it."""

import os
from pathlib import Path

HERE = Path(__file__).parent
TOOLCHAIN = HERE.parent / "toolchain"
REPOSITORY = HERE.parents[2]
CACHE = Path(os.environ.get("SLIPWAY_TEST_CACHE") or Path.home() / ".cache" / "slipway-tests")

# One node a machine: its addresses and its cgroup exist once.
NAME = "slipway-test-node"
# Certificates, sockets, logs and the ids of processes.
RUN = Path("/run") / NAME
# Images, containers and volumes: too large for a /run that is in memory.
STATE = Path("/var/lib") / NAME
KUBECONFIG = RUN / "kubeconfig"
# Each image by its name in the harness, as `repository@sha256:…`.
IMAGES = RUN / "images.json"
