"""Runs a program that is ended with whoever started it, however that ends: `python -I -S tied.py <program> …`.

A test run that is killed leaves no bridge, gateway or soak behind. Where the kernel is not Linux, it just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    starter = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() == starter:
        os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
