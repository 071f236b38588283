"""The REST API of the gateway, beside the protocol. Imported when it is first asked for: FastAPI takes its time."""

from app.gateway.rest.access import Access
from app.gateway.rest.api import Rest

__all__ = ["Access", "Rest"]
