"""The configuration of a stack: typed, checked as a whole, and read in one place."""

from infra.config.errors import ConfigError, Problem
from infra.config.secrets import Secrets
from infra.config.stack import StackConfig

__all__ = ["ConfigError", "Problem", "Secrets", "StackConfig"]
