"""The operator: `MCPAgent` objects become workloads, and stay what their objects say.

`model` and `status` are pure; `manifests` says what an agent becomes; `reconcile` makes it so; `handlers` is all that
knows kopf; `lease` decides which replica works.
"""
