"""Server-sent events, as bytes."""

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
PING = b":\r\n\r\n"
"""A comment: keeps proxies from closing an idle stream."""


def message(data: bytes, event_id: str | None = None) -> bytes:
    """One JSON message. JSON of one line has no line breaks, so it is one data line."""
    if event_id is None:
        return b"event: message\r\ndata: " + data + b"\r\n\r\n"
    return b"event: message\r\nid: " + event_id.encode() + b"\r\ndata: " + data + b"\r\n\r\n"


def priming(event_id: str, retry_ms: int) -> bytes:
    """An empty event, so that the client knows from where to resume, and how soon to try."""
    return b"id: %b\r\nretry: %d\r\ndata: \r\n\r\n" % (event_id.encode(), retry_ms)


def retry(retry_ms: int) -> bytes:
    """Tells the client how soon to come back once the stream ends."""
    return b"retry: %d\r\n\r\n" % retry_ms
