"""Our own server with as many tools as the environment's BENCH_TOOLS says, `echo` among them."""

import os
import sys
import types

from app.cli._start import serve_from_environment
from app.toolsets import tool


def toolset(count: int) -> types.ModuleType:
    module = types.ModuleType("app.toolsets.bench")

    async def echo(text: str) -> str:
        """Return the text."""
        return text

    module.echo = tool()(echo)
    for number in range(count - 1):

        async def other(text: str, times: int = 1) -> str:
            """Return the text, several times."""
            return text * times

        other.__name__ = f"tool_{number}"
        setattr(module, other.__name__, tool()(other))
    return module


sys.modules["app.toolsets.bench"] = toolset(int(os.environ["BENCH_TOOLS"]))
sys.exit(serve_from_environment())
