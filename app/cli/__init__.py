"""The command line. Only here are the parts of the program wired together."""

from __future__ import annotations

import sys


def main() -> None:
    """`slipway` alone serves by the environment; with words, it is a command."""
    if len(sys.argv) == 1:
        import gc

        gc.disable()  # until all is imported (`settle_memory`): there is nothing to collect, and looking costs a tenth
        from app.cli._start import serve_from_environment

        sys.exit(serve_from_environment())
    from app.cli._commands import app

    app()
