"""What all tests of the gateway share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from yard import until

__all__ = ["until"]
