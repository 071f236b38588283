"""What network edges need of a URL."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from infra import ports


def url_port(url: str) -> int:
    """The port that it leads to, named or implied."""
    parts = urlsplit(url)
    return parts.port or (ports.HTTPS.number if parts.scheme in ("https", "wss") else ports.SERVICE.number)


def address_range(host: str) -> str | None:
    """The range of one that a host spelt as an address is; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return f"{address}/{address.max_prefixlen}"
