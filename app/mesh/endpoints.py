"""Where an agent may say that it is: nobody registers an address that is not its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from app.mesh.problems import Problem, invalid

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Where clouds answer with a machine's credentials, outside of the link-local range.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
)


class EndpointPolicy:
    """Accepts endpoints at the address that the request came from, and at addresses in the networks allowed.

    Loopback addresses are accepted by a registry that is bound to one itself, for nothing else reaches it.
    """

    def __init__(self, allowed: Iterable[str] = (), *, local: bool) -> None:
        """`allowed` are networks like 10.0.0.0/8. Raises ValueError for one that is none."""
        self._allowed: list[_Network] = [ipaddress.ip_network(network, strict=False) for network in allowed]
        self._local = local

    def check(self, endpoint: str, peer: str | None) -> str:
        """The endpoint, written in one way. Raises `Problem`."""
        scheme, address, port = _parts(endpoint)
        self._refuse(endpoint, address, _address(peer or ""))
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{scheme}://{host}:{port}"

    def _refuse(self, endpoint: str, address: _Address, peer: _Address | None) -> None:
        if address in _METADATA or address.is_link_local:
            raise _foreign(endpoint, "link-local and metadata addresses are never an agent's")
        if address.is_unspecified or address.is_multicast or (address.version == 4 and address.is_reserved):
            raise _foreign(endpoint, "it is not the address of one machine")
        if address.is_loopback:
            if self._local:
                return
            raise _foreign(endpoint, "a loopback address is another machine's own: give the pod's address (POD_IP)")
        if address == peer or any(address in network for network in self._allowed):
            return
        raise _foreign(
            endpoint,
            f"the request came from {peer or 'an unknown address'}: register from the endpoint's own address, or have "
            "the registry's MCP_MESH_ALLOWED_ENDPOINTS name its network",
        )


def address_of(endpoint: str) -> str:
    """The address in an endpoint that was checked."""
    return endpoint[endpoint.index("//") + 2 : endpoint.rindex(":")]


def is_own_machine(address: str) -> bool:
    """Whether an address of an endpoint is a loopback one."""
    found = _address(address.strip("[]"))
    return found is not None and found.is_loopback


def _parts(endpoint: str) -> tuple[str, _Address, int]:
    form = "write http://<address>:<port> or https://<address>:<port>"
    if len(endpoint) > 200:
        raise invalid("endpoint", endpoint, form)
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise invalid("endpoint", endpoint, form) from None
    if parts.scheme not in ("http", "https") or not endpoint.isascii() or not endpoint.isprintable():
        raise invalid("endpoint", endpoint, form)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Problem(422, "This cannot be registered", f"endpoint has more than an address: {form}", field="endpoint")
    if parts.path not in ("", "/"):
        raise invalid("endpoint", endpoint, f"leave the path out: {form}")
    address = _address(parts.hostname or "")
    if address is None:
        raise invalid("endpoint", endpoint, f"a name can be made to point anywhere: {form}")
    if not port:
        raise invalid("endpoint", endpoint, f"there is no port from 1 to 65535: {form}")
    return parts.scheme, address, port


def _address(text: str) -> _Address | None:
    """The address; one of IPv4 that is dressed as IPv6 is taken for what it is."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _foreign(endpoint: str, reason: str) -> Problem:
    problem = invalid("endpoint", endpoint, reason)
    return Problem(403, "This endpoint is not yours to register", problem.detail, field="endpoint")
