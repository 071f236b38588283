"""Which addresses are the public internet: only they may be fetched from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# What no public host has. Python's own `is_global` differs between versions and knows no provider's addresses.
_REFUSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers; a provider's metadata is at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's agent and metadata, at an address that looks public
        "169.254.0.0/16",  # link-local, most providers' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; a provider's metadata is at 192.0.0.192
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Of IPv6, only 2000::/3 is given out at all: mapped, unique local, link-local and multicast addresses are outside.
_GIVEN_OUT_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    if address in _NAT64:  # how a network without IPv4 reaches it: what counts is whom it reaches
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if getattr(address, "scope_id", None) is not None or address not in _GIVEN_OUT_6:
        return False
    return not any(address in network for network in _REFUSED_6)


def parsed(address: str) -> Address | None:
    """The address in a text that is one."""
    try:
        return ip_address(address)
    except ValueError:
        return None
