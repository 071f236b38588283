"""One log line for everything that somebody has started or stopped: who, what, and how it went."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

logger = logging.getLogger("slipway.audit")


@contextmanager
def audit(action: str, server: str, by: str) -> Generator[None]:
    """Tell the outcome of what happens inside. Messages of our own errors hold no secret; of others, only the kind."""
    fields = {"action": action, "server": server, "by": by}
    try:
        yield
    except BaseException as error:
        ours = type(error).__module__.startswith("app.")
        reason = str(error) if ours else type(error).__name__
        logger.warning("%s refused", action, extra={"fields": {**fields, "outcome": "refused", "reason": reason}})
        raise
    logger.info("%s done", action, extra={"fields": {**fields, "outcome": "done"}})
