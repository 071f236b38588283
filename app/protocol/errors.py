"""What can go wrong in the protocol, as JSON-RPC errors."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

# Of the revisions before 2026-07-28 only; the newer one forbids them.
RESOURCE_NOT_FOUND = -32002
URL_ELICITATION_REQUIRED = -32042

HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022

# Outside JSON-RPC's reserved range, as the specification asks of codes of one's own.
UNAVAILABLE = -31000
LIMIT_REACHED = -31001
CANCELLED = -31002

# Whatever produced the error, one table decides its HTTP status in the era of 2026-07-28.
HTTP_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
    UNAVAILABLE: 503,
    LIMIT_REACHED: 429,
}


class ProtocolError(Exception):
    """An error that the client is told: a JSON-RPC code, a message that names the remedy, and optional data."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
