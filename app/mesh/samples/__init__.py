"""Agents to begin with: what `slipway agent` offers when it is told of no module."""
