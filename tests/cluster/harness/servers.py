"""Real MCP servers of npm and PyPI, and a hostile one, as files of an image: pods of the node reach no registry."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from harness.places import REPOSITORY
from harness.tools import Refusal

SUPPORT = REPOSITORY / "tests" / "app" / "gateway" / "support"
# Where they are in the image.
NPM, PYTHON = "srv/npm", "srv/python"


def inputs() -> list[Path]:
    """What the files are made from."""
    return [
        SUPPORT / "npm" / "package-lock.json",
        SUPPORT / "pypi.txt",
        *(SUPPORT / name for name in ("hostile.py", "children_commands.py") if (SUPPORT / name).exists()),
    ]


def put_into(root: Path) -> None:
    """Copy them from the tests' own cache, fetched before if need be."""
    real = _real_servers()
    try:
        npm, pypi = real._npm_folder(), real._pypi_folder()
    except pytest.skip.Exception as unavailable:
        raise Refusal(str(unavailable)) from None
    shutil.copytree(npm / "node_modules", root / NPM / "node_modules", symlinks=True)
    (packages,) = (pypi / "lib").glob("python3*/site-packages")
    shutil.copytree(packages, root / PYTHON, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in inputs()[2:]:
        shutil.copy2(file, root / "srv" / file.name)


def _real_servers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_servers", SUPPORT / "real_servers.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(SUPPORT / "real_servers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
