"""Patterns as trees: the part of PCRE that an automaton can follow, and a plain refusal for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from app.toolsets.documents.errors import Refused, shown

MOST_CHARACTERS = 1_000
_MOST_REPEATS = 200
_DEEPEST = 20
_KNOWN = "characters, ., [classes], \\d \\w \\s, groups, |, *, +, ?, {m,n}, and ^ and $ at the ends"

Range = tuple[str, str]

_DIGITS: tuple[Range, ...] = (("0", "9"),)
_WORD: tuple[Range, ...] = (("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_"))
_SPACE: tuple[Range, ...] = (("\t", "\r"), (" ", " "))
_ALL: tuple[Range, ...] = (("\0", "\U0010ffff"),)
_SETS = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set."""

    ranges: tuple[Range, ...]
    negated: bool = False
    any_case: bool = False

    def take(self, character: str) -> bool:
        """Whether the character is one of the set."""
        found = self._has(character)
        if self.any_case and not found:
            found = any(len(other) == 1 and self._has(other) for other in (character.lower(), character.upper()))
        return found is not self.negated

    def _has(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Again and again; `most` is None for no end."""

    node: Node
    least: int
    most: int | None


Node = Characters | Sequence | Alternatives | Repeat


@dataclass(frozen=True, slots=True)
class Branch:
    """An alternative of the whole pattern, with its anchors."""

    node: Node
    from_start: bool
    to_end: bool


def parse_pattern(pattern: str, options: str, where: str) -> list[Branch]:
    """The alternatives of a pattern. Raises `Refused`."""
    if len(pattern) > MOST_CHARACTERS:
        raise Refused(f"{where} has {len(pattern)} characters: send at most {MOST_CHARACTERS}.")
    if set(options) - {"i", "s"}:
        raise Refused(f"{where} has the $options {shown(options)}: send i (any case), s (. takes line feeds) or both.")
    return _Parser(pattern, where, any_case="i" in options, dot_takes_all="s" in options).branches()


@dataclass(slots=True)
class _Parser:
    text: str
    where: str
    any_case: bool
    dot_takes_all: bool
    at: int = 0
    depth: int = field(default=0)

    def branches(self) -> list[Branch]:
        found = [self._branch()]
        while self._next("|"):
            found.append(self._branch())
        if self.at < len(self.text):
            self._refuse("a ) without its (")
        return found

    def _branch(self) -> Branch:
        from_start = self._next("^")
        node = self._sequence(top=True)
        return Branch(node, from_start, self._next("$"))

    def _sequence(self, *, top: bool = False) -> Node:
        nodes: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if top and self.text[self.at] == "$" and self.text[self.at + 1 : self.at + 2] in ("", "|"):
                break
            nodes.append(self._quantified(self._atom()))
        return Sequence(tuple(nodes))

    def _atom(self) -> Node:
        character = self.text[self.at]
        self.at += 1
        match character:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return Characters(_ALL) if self.dot_takes_all else Characters((("\n", "\n"),), negated=True)
            case "\\":
                return self._escape()
            case "*" | "+" | "?" | "{" | "^" | "$":
                what = "inside" if character in "^$" else "that repeats nothing"
                return self._refuse(f"a {character} {what}")
            case _:
                return self._one(character)

    def _group(self) -> Node:
        if self.text.startswith("?", self.at) and not self._next("?:"):
            self._refuse("a group that begins with (?")
        self.depth += 1
        if self.depth > _DEEPEST:
            self._refuse(f"groups nested more than {_DEEPEST} deep")
        nodes = [self._sequence()]
        while self._next("|"):
            nodes.append(self._sequence())
        if not self._next(")"):
            self._refuse("a ( without its )")
        self.depth -= 1
        return Alternatives(tuple(nodes))

    def _escape(self) -> Characters:
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if not character:
            self._refuse("a \\ at the end")
        if character.lower() in _SETS:
            return Characters(_SETS[character.lower()], negated=character.isupper())
        if character in _ESCAPES:
            return self._one(_ESCAPES[character])
        if character.isascii() and character.isalnum():
            self._refuse(f"\\{character}")
        return self._one(character)

    def _class(self) -> Characters:
        negated = self._next("^")
        ranges: list[Range] = []
        while not (ranges and self._next("]")):
            low = self._class_member()
            if isinstance(low, Characters):
                if low.negated:
                    self._refuse("a negated set inside [ ]")
                ranges.extend(low.ranges)
                continue
            high = low
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                end = self._class_member()
                if isinstance(end, Characters) or end < low:
                    self._refuse("a range that ends before it begins")
                high = end
            ranges.append((low, high))
        return Characters(tuple(ranges), negated=negated, any_case=self.any_case)

    def _class_member(self) -> str | Characters:
        """One character, or a set such as \\d."""
        character = self.text[self.at : self.at + 1]
        if not character:
            self._refuse("a [ without its ]")
        self.at += 1
        if character == "[" and self.text[self.at : self.at + 1] in (":", ".", "="):
            self._refuse("a named class inside [ ]")
        if character != "\\":
            return character
        escaped = self._escape()
        (low, high), *more = escaped.ranges
        return escaped if more or low != high else low

    def _quantified(self, node: Node) -> Node:
        if self._next("*"):
            node = Repeat(node, 0, None)
        elif self._next("+"):
            node = Repeat(node, 1, None)
        elif self._next("?"):
            node = Repeat(node, 0, 1)
        elif self.text.startswith("{", self.at):
            node = self._counted(node)
        else:
            return node
        if self._next("+"):
            self._refuse("a possessive quantifier")
        self._next("?")  # lazy or greedy: whether there is a match is the same
        if self.text[self.at : self.at + 1] in ("*", "+", "?", "{") and self.at < len(self.text):
            self._refuse("a quantifier after another")
        return node

    def _counted(self, node: Node) -> Node:
        end = self.text.find("}", self.at)
        least, comma, most = self.text[self.at + 1 : end].partition(",")
        if end < 0 or not _is_count(least) or (most and not _is_count(most)):
            self._refuse("a { that counts nothing: write \\{ for the character")
        self.at = end + 1
        low, high = int(least), int(most) if most else None if comma else int(least)
        if max(low, high or 0) > _MOST_REPEATS or (high is not None and high < low):
            self._refuse(f"a count that is not from 0 to {_MOST_REPEATS}, the lower first")
        return Repeat(node, low, high)

    def _one(self, character: str) -> Characters:
        return Characters(((character, character),), any_case=self.any_case)

    def _next(self, wanted: str) -> bool:
        if self.text.startswith(wanted, self.at):
            self.at += len(wanted)
            return True
        return False

    def _refuse(self, what: str) -> NoReturn:
        raise Refused(f"{self.where} is {shown(self.text)}, which has {what}. Send a pattern of {_KNOWN}.")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
