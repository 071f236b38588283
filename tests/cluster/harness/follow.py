"""For the node's own controllers: do a thing again whenever something that it depends on has changed."""

import sys
import threading
import time
from collections.abc import Callable, Sequence

import httpx

from harness.api import Api

# Also without a change, should one have been missed.
AT_LEAST_EVERY_SECONDS = 30.0
TROUBLE_SECONDS = 0.5


def keep_doing(api: Api, paths: Sequence[str], step: Callable[[], None]) -> None:
    """Call `step` now and after every change of a list, for ever. A step that fails is tried again."""
    changed = threading.Event()
    changed.set()
    for path in paths:
        threading.Thread(target=_watch, args=(api, path, changed), daemon=True).start()
    while True:
        changed.wait(AT_LEAST_EVERY_SECONDS)
        changed.clear()
        try:
            step()
        except (httpx.HTTPError, RuntimeError, OSError) as problem:
            print(f"{type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
            time.sleep(TROUBLE_SECONDS)
            changed.set()


def _watch(api: Api, path: str, changed: threading.Event) -> None:
    while True:
        try:
            version = api.list(path)["metadata"]["resourceVersion"]
            changed.set()
            for _ in api.follow(path, version):
                changed.set()
        except (httpx.HTTPError, RuntimeError) as problem:
            print(f"{path}: {problem}", file=sys.stderr, flush=True)
            time.sleep(TROUBLE_SECONDS)
