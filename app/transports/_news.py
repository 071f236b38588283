"""Changes of what the server offers, told to a session of the older era on its main stream."""

import asyncio
from contextlib import suppress

from app.protocol.changes import METHODS, Change
from app.sessions.store import StoreUnavailable, UnknownSession
from app.transports._channel import SessionChannel


class SessionNews:
    """A listener for `Changes`, to be attached while this replica holds the session's main stream."""

    __slots__ = ("_channel", "_tasks")

    def __init__(self, channel: SessionChannel) -> None:
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, change: Change) -> None:
        """Append the change to the stream, if it is one that the session should hear of."""
        if change.kind == "task":
            return
        task = asyncio.create_task(self._tell(change))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """The stream's own end says it all."""

    async def _tell(self, change: Change) -> None:
        params = {"uri": change.uri} if change.uri else None
        with suppress(StoreUnavailable, UnknownSession):
            if change.kind == "resource":
                # Another replica may have taken the subscription.
                session = await self._channel.store.load(self._channel.session_id)
                if session is None or change.uri not in session.subscriptions:
                    return
            await self._channel.notify(METHODS[change.kind], params)
