"""A real Kubernetes node on this machine; `python tests/cluster/harness` runs it, `node.py` says how to use it."""
