"""An agent that can do nothing but ask others."""

from handy import relay

__all__ = ["relay"]
