"""The registry: the directory of agents, served over HTTP."""
