"""What a child's environment has: little, and all of it on purpose."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

# Where to find programs, how to speak, whom to trust, and by which way out.
_PASSED_ON = re.compile(
    r"PATH|LANG|LC_\w+|TZ|SYSTEMROOT|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY|(npm_config|NPM_CONFIG)_(registry|REGISTRY|cache|CACHE|\w*config)"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|CACHE_DIR|CONFIG_FILE|NATIVE_TLS|PYTHON_INSTALL_DIR|OFFLINE)"
    r"|PLAYWRIGHT_BROWSERS_PATH|PYENV_ROOT"
)
# HOME is private, so what would be looked for there is named: else every start would download anew.
_IN_HOME = {
    "npm_config_cache": ".npm",
    "UV_CACHE_DIR": ".cache/uv",
    "UV_PYTHON_INSTALL_DIR": ".local/share/uv/python",
    "PLAYWRIGHT_BROWSERS_PATH": ".cache/ms-playwright",
}
_FILES_IN_HOME = {"npm_config_userconfig": ".npmrc", "UV_CONFIG_FILE": ".config/uv/uv.toml"}


def base_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Of the gateway's own environment, what every child gets; what a server's declaration says comes on top."""
    given = {name: value for name, value in own.items() if _PASSED_ON.fullmatch(name)}
    given.setdefault("PATH", os.defpath)
    given.setdefault("LANG", "C.UTF-8")
    known = {name.lower() for name in given}
    home = Path(own.get("HOME") or "/nonexistent")
    for name, folder in _IN_HOME.items():
        if name.lower() not in known:
            given[name] = str(home / folder)
    for name, file in _FILES_IN_HOME.items():
        if name.lower() not in known and (home / file).is_file():
            given[name] = str(home / file)
    return given


_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}


def memory_bytes(quantity: str) -> int:
    """A Kubernetes quantity of memory as bytes. Raises `ValueError`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?", quantity.strip())
    if found is None:
        raise ValueError(f"limits.memory is {quantity!r}: give a quantity such as 512Mi")
    return int(float(found.group(1)) * _UNITS.get(found.group(2), 1))
