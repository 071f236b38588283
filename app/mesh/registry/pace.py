"""How often agents are asked to be heard: less often when there is more to do than this replica should take."""

from __future__ import annotations

_STEP = 0.25
_MOST = 6.0
_SMOOTH = 0.2
_LATE = 0.1  # seconds by which the event loop may be late before that counts as too much to do


class Pace:
    """Measures heartbeats a second and how late the event loop is, and says how far to stretch intervals."""

    def __init__(self, *, max_beats: float) -> None:
        self.stretch = 1.0
        self.rate = 0.0
        self.late = 0.0
        self._max_beats = max_beats
        self._count = 0

    def stretched(self, interval: float) -> float:
        """What an agent that wants to beat so often is asked for; the same object where that is the same."""
        return interval if self.stretch == 1.0 else interval * self.stretch

    def count(self, beats: int) -> None:
        self._count += beats

    def tick(self, elapsed: float, late: float) -> None:
        """Called about once a second, with how long that was and by how much it came late."""
        self.rate += _SMOOTH * (self._count / max(elapsed, 0.001) - self.rate)
        self.late += _SMOOTH * (late - self.late)
        self._count = 0
        # What agents would send if their intervals were not stretched.
        wanted = self.rate * self.stretch / self._max_beats
        if self.late > _LATE:
            wanted = max(wanted, self.stretch * 1.25)
        rounded = round(wanted / _STEP) * _STEP
        # Down by one step at a time, so that relief does not bring everyone back at once.
        aim = max(1.0, min(_MOST, max(rounded, self.stretch - _STEP)))
        self.stretch = aim
