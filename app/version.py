"""The version of the installed program."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:  # run from a copy that was never installed
        return "0.0.0"


VERSION = _installed()
