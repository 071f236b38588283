"""What network edges need of a URL."""

from urllib.parse import urlsplit

from infra import ports


def url_port(url: str) -> int:
    """The port that it leads to, named or implied."""
    parts = urlsplit(url)
    return parts.port or (ports.HTTPS.number if parts.scheme in ("https", "wss") else ports.SERVICE.number)
