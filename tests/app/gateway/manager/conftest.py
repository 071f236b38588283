"""Managers over a launcher, servers and a registry that do what the test says."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from yard import Yard, make_yard, until

__all__ = ["until"]


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    """Managers made of it are closed when the test ends, and leave no task behind."""
    async with make_yard() as made:
        yield made
