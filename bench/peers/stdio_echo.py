"""The child of all bridges: `echo.py` on its standard streams.

`stdio_echo.py [--tools N] [--start SECONDS] [--core N] [--stubborn]`: stubborn ones ignore the end of their input,
and SIGTERM.
"""

import os
import signal
import sys
import time

from echo import answer, tools


def given(name: str, otherwise: float) -> float:
    words = sys.argv[1:]
    return float(words[words.index(name) + 1]) if name in words else otherwise


def main() -> None:
    stubborn = "--stubborn" in sys.argv
    if "--core" in sys.argv:
        os.sched_setaffinity(0, {int(given("--core", 0))})
    time.sleep(given("--start", 0))
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    offered = tools(int(given("--tools", 1)))
    left = b""
    while chunk := os.read(0, 1 << 20):
        *lines, left = (left + chunk).split(b"\n")
        out = [said for line in lines if (said := answer(line, offered)) is not None]
        if out:
            os.write(1, b"\n".join(out) + b"\n")
    while stubborn:
        time.sleep(60)


main()
