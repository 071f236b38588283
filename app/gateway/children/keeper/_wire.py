"""What the gateway, the keeper and a child's minder tell each other.

One message is one packet of a socket pair, as `marshal` writes it: both ends are the same interpreter, and importing
anything better would cost the keeper more memory than all of its own code.
"""

from __future__ import annotations

import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = tuple[Any, ...]


LARGEST = 1 << 20
# Elsewhere than on Linux there are no such packets; there, each end polls whether the other is alive.
PACKETS = 5 if sys.platform == "linux" else 2  # SOCK_SEQPACKET, SOCK_DGRAM
# The gateway to the keeper: (START, number, argv, environment, directory, private directory, limits), with descriptors.
START = "start"
# The keeper to the gateway.
FORKED = "forked"  # (FORKED, number, the minder's pid)
REAPED = "reaped"  # (REAPED, number, strays), once no process of that number is left

# The gateway to a minder: (STOP, seconds after the end of its input, seconds after SIGTERM).
STOP = "stop"
# A minder to the gateway.
RUNNING = "running"  # (RUNNING, the child's pid)
REFUSED = "refused"  # (REFUSED, errno): it cannot be executed
EXITED = "exited"  # (EXITED, wait status, why it was killed): the child itself is gone, its descendants may not be
GONE = "gone"  # (GONE, orphans, most memory): nothing is left
STUCK = "stuck"  # (STUCK, pids): SIGKILL does not end these

# Why a minder killed its child.
ASKED = "asked"
MEMORY = "memory"


def pack(*message: Any) -> bytes:
    """A message as bytes."""
    return marshal.dumps(message)


def unpack(data: bytes) -> Message:
    """The message in a packet of the other end."""
    return marshal.loads(data)  # noqa: S302 - from a process of ours over a socket nobody else has
