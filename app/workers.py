"""Several processes on one listening socket: started, replaced when they die, drained together, none left behind."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from app.process import LEAVE

logger = logging.getLogger("slipway.workers")

HOPELESS = 2  # the exit status of a worker that no other try would help: the settings are wrong

_LIVED = 1.0  # seconds after which a worker counts as started well
_MARGIN = 5.0  # seconds beyond the drain budget before a worker is killed
_ATTEMPTS = 5
_WAITED_FOR = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, LEAVE}


class Workers:
    """The parent of the worker processes. `work` is given a file descriptor that closes when the parent is gone."""

    def __init__(
        self,
        count: int,
        work: Callable[[int], None],
        *,
        listener: socket.socket,
        budget: float,
        forget: Callable[[int], None],
    ) -> None:
        self._count = count
        self._work = work
        self._listener = listener
        self._budget = budget
        self._forget = forget
        self._started: dict[int, float] = {}
        self._short_lives = 0
        self._draining = False
        self._hopeless: int | None = None
        self._alive, self._alive_writer = os.pipe()

    def run(self) -> int:
        """Until every worker has ended; the exit status: 0 after a drain, 1 when killed or when none will start."""
        gc.collect()
        gc.freeze()  # pages shared with the children stay shared
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
        for _ in range(self._count):
            self._start()
        while self._started or not self._draining:
            match signal.sigwait(_WAITED_FOR):
                case signal.SIGCHLD:
                    self._reap()
                    if self._hopeless is not None:
                        self._kill()
                        return self._hopeless
                    if not self._draining and self._short_lives >= _ATTEMPTS:
                        logger.error("workers keep ending as soon as they start: giving up")
                        return self._kill()
                case signal.SIGALRM if self._draining:
                    logger.error("workers did not end within the drain budget: killing them")
                    return self._kill()
                case signal.SIGALRM:
                    self._fill()
                case number if number == LEAVE:
                    self._signal(LEAVE)
                case _ if self._draining:
                    logger.warning("asked to end a second time: ending at once")
                    return self._kill()
                case _:
                    self._drain()
        return 0

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_a_worker()
        self._started[pid] = time.monotonic()

    def _be_a_worker(self) -> NoReturn:
        status = 1
        try:
            os.close(self._alive_writer)
            # A terminal sends SIGINT to the whole group; the parent passes its own signal on.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(LEAVE, signal.SIG_IGN)  # until the server hears it: by itself, it would end the process
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
            self._work(self._alive)
            status = 0
        except SystemExit as leaving:  # what it cannot start with is told, or it was told to end before it began
            status = leaving.code if isinstance(leaving.code, int) else 0
        except BaseException:
            logger.exception("a worker failed")
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            began = self._started.pop(pid, None)
            self._forget(pid)
            if began is None or self._draining:
                continue
            exit_status = os.waitstatus_to_exitcode(status)
            if exit_status == HOPELESS:
                self._hopeless = exit_status
                return
            fields = {"pid": pid, "status": exit_status}
            logger.warning("a worker ended: starting another", extra={"fields": fields})
            if time.monotonic() - began >= _LIVED:
                self._short_lives = 0
                self._start()
            else:
                self._short_lives += 1
                signal.setitimer(signal.ITIMER_REAL, 0.2 * 2**self._short_lives)

    def _fill(self) -> None:
        while len(self._started) < self._count:
            self._start()

    def _drain(self) -> None:
        self._draining = True
        self._listener.close()  # once the workers close theirs, connecting fails instead of waiting for nobody
        self._signal(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, self._budget + _MARGIN)

    def _kill(self) -> int:
        self._signal(signal.SIGKILL)
        for pid in list(self._started):
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        return 1

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._started:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
