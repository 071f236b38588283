"""`$regex` in time that grows with the text and never with the pattern's choices: no backtracking.

`re` can be made to run for hours by a short pattern, and holds the interpreter meanwhile. Here a pattern becomes an
automaton of positions (Glushkov's), its states are bits of one integer, and each step is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.toolsets.documents._pattern_parser import Alternatives, Characters, Node, Repeat, Sequence, parse_pattern
from app.toolsets.documents.errors import Refused

MOST_POSITIONS = 500
_MOST_BUILT = 5_000  # groups that hold nothing count too: {200}{200} of them would take forever
_MOST_REMEMBERED = 20_000


def compile_pattern(pattern: str, options: str, where: str) -> Callable[[str], bool]:
    """A function that says whether a text contains the pattern. Raises `Refused` for what is not understood."""
    machines = [
        _Machine(branch.node, where, from_start=branch.from_start, to_end=branch.to_end)
        for branch in parse_pattern(pattern, options, where)
    ]
    return lambda text: any(machine.found_in(text) for machine in machines)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of a part of a pattern: where it can begin and end, and whether it can be empty."""

    first: int
    last: int
    nullable: bool


class _Machine:
    """One alternative of a pattern."""

    def __init__(self, node: Node, where: str, *, from_start: bool, to_end: bool) -> None:
        self._where = where
        self._characters: list[Characters] = []
        self._follow: list[int] = []
        self._built = 0
        self._whole = self._build(node)
        self._from_start = from_start
        self._to_end = to_end
        self._steps: dict[tuple[int, str], int] = {}

    def found_in(self, text: str) -> bool:
        """Whether the alternative is found anywhere that its anchors allow."""
        last, nullable = self._whole.last, self._whole.nullable
        if nullable and not (self._from_start and self._to_end):
            return True
        if self._to_end:
            # The end is also before a line feed that ends the text.
            return self._ends(text) or (text.endswith("\n") and self._ends(text[:-1]))
        state, again = self._whole.first, 0 if self._from_start else self._whole.first
        for character in text:
            reached = self._matching(state, character)
            if reached & last:
                return True
            state = self._after(reached) | again
            if not state:
                return False
        return False

    def _ends(self, text: str) -> bool:
        if not text:
            return self._whole.nullable
        state, again = self._whole.first, 0 if self._from_start else self._whole.first
        reached = 0
        for character in text:
            reached = self._matching(state, character)
            state = self._after(reached) | again
        return bool(reached & self._whole.last)

    def _matching(self, state: int, character: str) -> int:
        """The positions of the state that take the character."""
        known = self._steps.get((state, character))
        if known is None:
            known = 0
            for position in _bits(state):
                if self._characters[position].take(character):
                    known |= 1 << position
            if len(self._steps) >= _MOST_REMEMBERED:
                self._steps.clear()
            self._steps[state, character] = known
        return known

    def _after(self, reached: int) -> int:
        known = self._steps.get((reached, ""))
        if known is None:
            known = 0
            for position in _bits(reached):
                known |= self._follow[position]
            self._steps[reached, ""] = known
        return known

    def _build(self, node: Node) -> _Part:
        self._built += 1
        if self._built > _MOST_BUILT:
            raise self._too_large()
        match node:
            case Characters():
                return self._position(node)
            case Sequence(nodes):
                part = _Part(0, 0, nullable=True)
                for each in nodes:
                    part = self._join(part, self._build(each))
                return part
            case Alternatives(nodes):
                parts = [self._build(each) for each in nodes]
                first = last = 0
                for part in parts:
                    first, last = first | part.first, last | part.last
                return _Part(first, last, nullable=any(part.nullable for part in parts))
            case Repeat():
                return self._repeat(node)

    def _position(self, characters: Characters) -> _Part:
        if len(self._characters) >= MOST_POSITIONS:
            raise self._too_large()
        bit = 1 << len(self._characters)
        self._characters.append(characters)
        self._follow.append(0)
        return _Part(bit, bit, nullable=False)

    def _join(self, one: _Part, other: _Part) -> _Part:
        for position in _bits(one.last):
            self._follow[position] |= other.first
        return _Part(
            one.first | (other.first if one.nullable else 0),
            other.last | (one.last if other.nullable else 0),
            nullable=one.nullable and other.nullable,
        )

    def _too_large(self) -> Refused:
        most = f"at most {MOST_POSITIONS} characters, counting what {{m,n}} repeats"
        return Refused(f"{self._where} is too large: send a pattern of {most}.")

    def _repeat(self, repeat: Repeat) -> _Part:
        part = _Part(0, 0, nullable=True)
        for _ in range(repeat.least):
            part = self._join(part, self._build(repeat.node))
        if repeat.most is None:
            again = self._build(repeat.node)
            for position in _bits(again.last):
                self._follow[position] |= again.first
            return self._join(part, _Part(again.first, again.last, nullable=True))
        for _ in range(repeat.most - repeat.least):
            optional = self._build(repeat.node)
            part = self._join(part, _Part(optional.first, optional.last, nullable=True))
        return part


def _bits(state: int) -> list[int]:
    found: list[int] = []
    while state:
        low = state & -state
        found.append(low.bit_length() - 1)
        state ^= low
    return found
