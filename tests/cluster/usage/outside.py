"""What is outside of a cluster, for its pods to reach or not: addresses that answer."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.enclosure import HOST_ADDRESS, INTERFACE
from harness.existing import EXISTING

from usage.reach import Target

INTERNET, INTERNET_WITHOUT_TLS, PRIVATE = OUTSIDE = ("internet", "internet, without TLS", "private")
# Names an address that answers on ports 443 and 80, for clusters that are not the tests' own.
GIVEN = "SLIPWAY_TEST_INTERNET"
# Of a range that documentation may use and nobody has.
_PUBLIC_ADDRESS = "203.0.113.10"


@contextmanager
def outside_world() -> Iterator[list[Target]]:
    """A public address and a private one that are no pod's. Of another's cluster, as far as one was named."""
    if EXISTING:
        given = os.environ.get(GIVEN)
        yield [] if given is None else [Target(INTERNET, given, 443), Target(INTERNET_WITHOUT_TLS, given, 80)]
        return
    own = ["ip", "address", "add", f"{_PUBLIC_ADDRESS}/32", "dev", INTERFACE]
    subprocess.run(own, check=True, capture_output=True)
    try:
        targets = [
            Target(INTERNET, _PUBLIC_ADDRESS, 443),
            Target(INTERNET_WITHOUT_TLS, _PUBLIC_ADDRESS, 80),
            Target(PRIVATE, HOST_ADDRESS, 443),
        ]
        with ExitStack() as stack:
            for target in targets:
                # The kernel answers for it: nobody needs to accept.
                stack.enter_context(socket.create_server((target.address, target.port), backlog=128))
            yield targets
    finally:
        subprocess.run(["ip", "address", "delete", *own[3:]], capture_output=True)
