"""Commands of the servers of `hostile.py`."""

import os
import sys
from dataclasses import replace

from hygiene import HOSTILE

from app.gateway.children.command import Command


def hostile(manner: str, number: int = 0, **more: object) -> Command:
    """One of them; impatient, so that tests are fast."""
    command = Command(
        server="hostile",
        argv=(sys.executable, "-I", "-S", HOSTILE, manner, str(number)),
        environment={"PATH": os.environ["PATH"]},
        after_input=0.15,
        after_term=0.15,
        look=0.05,
    )
    return replace(command, **more)
