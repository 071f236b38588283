"""A cluster of somebody else's, instead of the node: `make test-cluster CLUSTER=existing`."""

import os

EXISTING = os.environ.get("SLIPWAY_TEST_CLUSTER") == "existing"
# The image of the platform's program, where that cluster's nodes pull from.
IMAGE = os.environ.get("SLIPWAY_TEST_IMAGE")
REMEDY = "build app/Dockerfile, push it to where the cluster pulls from, and name it by digest in SLIPWAY_TEST_IMAGE"
