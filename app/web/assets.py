"""The page's files: named by what they contain, so that a browser may keep them for ever, and compressed once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from importlib.resources import files

# A file may name those before it, as "./name": the name is then replaced by the one with the hash.
_SCRIPTS = ("mcp.js", "servers.js", "live.js", "globe.js", "chart.js", "page.js", "map.js", "mesh.js")
_FILES = ("world.json", *_SCRIPTS, "page.css")
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
}


class Asset:
    """One file, as it is served."""

    def __init__(self, name: str, body: bytes) -> None:
        stem, _, kind = name.rpartition(".")
        self.path = f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{kind}"
        """Its name below `page/`."""
        self.content_type = _TYPES[kind]
        self.body = body

    @cached_property
    def compressed(self) -> bytes:
        """The body for clients that accept gzip."""
        return gzip.compress(self.body, 9, mtime=0)


class Assets(Mapping[str, Asset]):
    """The files by the names that they have in this package."""

    def __init__(self) -> None:
        folder = files("app.web").joinpath("static")
        self._by_name: dict[str, Asset] = {}
        for name in _FILES:
            body = folder.joinpath(name).read_bytes()
            for known, asset in self._by_name.items():
                body = body.replace(f'"./{known}"'.encode(), f'"./{asset.path}"'.encode())
            self._by_name[name] = Asset(name, body)
        self._by_path = {asset.path: asset for asset in self._by_name.values()}

    def __getitem__(self, name: str) -> Asset:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def at(self, path: str) -> Asset | None:
        """The file that is served under that name."""
        return self._by_path.get(path)


@lru_cache(maxsize=1)
def assets() -> Assets:
    """All files, read once a process."""
    return Assets()
