"""PyPI's simple index, in its JSON and HTML forms: the files of a package."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

import msgspec

ACCEPTED = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class File(msgspec.Struct, kw_only=True):
    """One file of a package."""

    filename: str
    url: str
    hashes: dict[str, str] = {}
    yanked: bool | str = False
    size: int | None = None
    requires_python: str | None = msgspec.field(default=None, name="requires-python")
    upload_time: str | None = msgspec.field(default=None, name="upload-time")
    provenance: str | None = None


class Page(msgspec.Struct):
    """All files of a package."""

    name: str = ""
    files: list[File] = []


def read_page(body: bytes, address: str) -> Page:
    """A page of the simple index. Raises `ValueError` (msgspec's, where it is broken JSON)."""
    if body.lstrip()[:1] == b"{":
        page = msgspec.json.decode(body, type=Page)
        for file in page.files:
            file.url = urljoin(address, file.url)
        return page
    reader = _Reader(address)
    reader.feed(body.decode("utf-8", "replace"))
    if not reader.is_page:
        raise ValueError("it is neither JSON nor a page with links")
    return Page(files=reader.files)


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.files: list[File] = []
        self.is_page = False
        self._address = address

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_page |= tag in ("html", "body", "a")
        said = dict(attrs)
        if tag != "a" or not (link := said.get("href")):
            return
        url, fragment = urldefrag(urljoin(self._address, link))
        algorithm, _, digest = fragment.partition("=")
        self.files.append(
            File(
                filename=unquote(url.rpartition("/")[2]),
                url=url,
                hashes={algorithm: digest} if digest else {},
                yanked="data-yanked" in said and (said["data-yanked"] or True),
                requires_python=said.get("data-requires-python"),
                upload_time=said.get("data-upload-time"),
                provenance=said.get("data-provenance"),
            )
        )
