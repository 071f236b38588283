"""HTML as text that people and models can read. Linear in the length of the page, whatever the page is."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, field

# Characters that show nothing, or change what others show: control, bidirectional, zero-width and tag characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_ANY_SPACE = re.compile(r"\s+")
_SPACE = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n{3,}")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,1000}>")
_NAME = re.compile(r"[a-zA-Z][^\s/>]{0,40}")
_QUOTE_OR_END = re.compile(r"""=[ \t\n\r\f]{0,20}["']|>""")
_HIDDEN = re.compile(
    r"""\s(hidden(?=[\s=>/]|$)|aria-hidden\s{0,9}=\s{0,9}["']?true|style\s{0,9}=[^>]{0,200}display\s{0,9}:\s{0,9}none)""",
    re.IGNORECASE,
)

_RAW = frozenset({"script", "style", "noscript", "iframe", "noembed", "noframes", "xmp", "template", "textarea", "svg"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_ASIDE = frozenset({"nav", "header", "footer", "aside", "form", "button", "select", "dialog", "menu"})
_MAIN = frozenset({"main", "article"})
# fmt: off
_PARAGRAPH = frozenset({
    "article", "blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "section", "table",
    "ul",
})
_BLOCK = _PARAGRAPH | {
    "address", "aside", "body", "br", "caption", "dd", "details", "dialog", "div", "dt", "fieldset", "figcaption",
    "footer", "form", "header", "hgroup", "hr", "li", "main", "menu", "nav", "summary", "tbody", "td", "tfoot", "th",
    "thead", "tr",
}
# fmt: on
_KEPT_SPACE = "\ue000"  # stands for a space of preformatted text, until all other space is tidied
_ENOUGH = 200
_MOST_ATTRIBUTES = 4000


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says."""

    title: str
    text: str


def plain(text: str) -> str:
    """Text on one line, without invisible characters."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())


def without_tags(markup: str) -> str:
    """A snippet that may have tags and character references, as plain text."""
    return plain(html.unescape(_TAG.sub("", markup)))


def tidy(text: str, *, indented: bool = False) -> str:
    """Text of many lines, without invisible characters and needless space; `indented` keeps space within lines."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
    if indented:
        return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    lines = (line.strip() for line in _SPACE.sub(" ", text).split("\n"))
    return _LINES.sub("\n\n", "\n".join(lines)).strip()


def read_html(markup: str) -> Page:
    """The title and the text of a page: its main part if it names one, without menus and forms if there is more."""
    reader = _Reader()
    reader.read(markup)
    everything = "".join(text for text, _, _ in reader.pieces)
    content = "".join(text for text, aside, _ in reader.pieces if not aside)
    main = "".join(text for text, aside, inside in reader.pieces if inside and not aside)
    chosen = next((text for text in (main, content) if len(text.strip()) >= _ENOUGH), content)
    text = tidy(chosen if chosen.strip() else everything)
    return Page(plain(html.unescape(reader.title)), text.replace(_KEPT_SPACE, " "))


@dataclass(slots=True)
class _Reader:
    title: str = ""
    pieces: list[tuple[str, bool, bool]] = field(default_factory=list[tuple[str, bool, bool]])
    _aside: int = 0
    _main: int = 0
    _pre: int = 0
    _unseen: tuple[str, int] | None = None
    _missing: set[str] = field(default_factory=set[str])

    def read(self, markup: str) -> None:
        position = 0
        while position < len(markup):
            start = markup.find("<", position)
            if start < 0:
                start = len(markup)
            if start > position:
                self._say(self._spaced(html.unescape(markup[position:start])))
            position = self._markup(markup, start) if start < len(markup) else start

    def _markup(self, markup: str, start: int) -> int:
        """Past what begins at this `<`."""
        if markup.startswith("<!--", start):
            return self._past(markup, "-->", start + 4)
        if markup.startswith(("<!", "<?"), start):
            return self._past(markup, ">", start + 2)
        closing = markup.startswith("</", start)
        named = _NAME.match(markup, start + 1 + closing)
        if named is None:
            if closing:  # a bogus comment
                return self._past(markup, ">", start + 2)
            self._say("<")
            return start + 1
        name = named[0].lower()
        end = self._tag_end(markup, named.end())
        if closing:
            self._close(name)
            return end
        attributes = markup[named.end() : end][-_MOST_ATTRIBUTES:]
        if name == "title" and not self.title:
            return self._take_title(markup, end)
        if name in _RAW and not (name == "svg" and attributes.endswith("/>")):
            return self._skip_raw(markup, name, end)
        self._open(name, attributes)
        return end

    def _tag_end(self, markup: str, position: int) -> int:
        """Past the `>` of a tag, which is none inside of a quoted value."""
        while found := _QUOTE_OR_END.search(markup, position):
            if found[0] == ">":
                return found.end()
            quote = found[0][-1]
            closing = -1 if quote in self._missing else markup.find(quote, found.end())
            if closing < 0:
                self._missing.add(quote)
            position = found.end() if closing < 0 else closing + 1
        return len(markup)

    def _past(self, markup: str, mark: str, position: int) -> int:
        found = markup.find(mark, position)
        return len(markup) if found < 0 else found + len(mark)

    def _take_title(self, markup: str, position: int) -> int:
        found = re.compile(r"</title\b", re.IGNORECASE).search(markup, position)
        end = found.start() if found else len(markup)
        self.title = markup[position : min(end, position + 1000)]
        return end

    def _skip_raw(self, markup: str, name: str, position: int) -> int:
        found = re.compile(rf"</{name}\b", re.IGNORECASE).search(markup, position)
        return self._tag_end(markup, found.end()) if found else len(markup)

    def _open(self, name: str, attributes: str) -> None:
        if self._unseen is not None:
            if name == self._unseen[0]:
                self._unseen = (name, self._unseen[1] + 1)
            return
        if name not in _VOID and _HIDDEN.search(attributes):
            self._unseen = (name, 1)
            return
        self._aside += name in _ASIDE
        self._main += name in _MAIN
        self._pre += name == "pre"
        if name in _BLOCK:
            self._say("\n\n" if name in _PARAGRAPH else "\n")
        if name == "li":
            self._say("- ")
        elif len(name) == 2 and name[0] == "h" and name[1] in "123456":
            self._say("#" * int(name[1]) + " ")
        elif name in ("td", "th"):
            self._say("| ")

    def _close(self, name: str) -> None:
        if self._unseen is not None:
            if name == self._unseen[0]:
                left = self._unseen[1] - 1
                self._unseen = (name, left) if left else None
            return
        if name in _PARAGRAPH:
            self._say("\n\n")
        elif name in _BLOCK:
            self._say("\n")
        if name in _ASIDE:
            self._aside = max(0, self._aside - 1)
        if name in _MAIN:
            self._main = max(0, self._main - 1)
        if name == "pre":
            self._pre = max(0, self._pre - 1)

    def _spaced(self, text: str) -> str:
        return text.replace(" ", _KEPT_SPACE) if self._pre else _ANY_SPACE.sub(" ", text)

    def _say(self, text: str) -> None:
        if self._unseen is None:
            self.pieces.append((text, self._aside > 0, self._main > 0))
