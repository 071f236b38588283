"""Our own client: every transport and every era, for `slipway call` and `slipway load`."""

from app.client._client import Client, TransportName, revision_named, transport_of
from app.client._messages import ClientError, JsonObject, RemoteError

__all__ = ["Client", "ClientError", "JsonObject", "RemoteError", "TransportName", "revision_named", "transport_of"]
