"""What the charts are compared by, and the platform program under mocks."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "support"))


@pytest.fixture(scope="session")
def run():
    """The recording harness of the platform's own tests."""
    spec = importlib.util.spec_from_file_location("platform_harness", HERE.parent / "infra/conftest.py")
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    return harness.run_program
