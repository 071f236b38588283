"""Changes of what the server offers, told to a session of the older era on its main stream."""

import asyncio
from contextlib import suppress

from app.protocol.calls import SessionView
from app.protocol.changes import METHODS, Change
from app.sessions.store import StoreUnavailable, UnknownSession
from app.transports._channel import SessionChannel


class SessionNews:
    """A listener for `Changes`, to be attached while this replica holds the session's main stream."""

    __slots__ = ("_channel", "_session", "_tasks")

    def __init__(self, session: SessionView, channel: SessionChannel) -> None:
        self._session = session
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, change: Change) -> None:
        """Append the change to the stream, if it is one that the session should hear of."""
        if change.kind == "task" or (change.kind == "resource" and change.uri not in self._session.subscriptions):
            return
        task = asyncio.create_task(self._tell(change))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """The stream's own end says it all."""

    async def _tell(self, change: Change) -> None:
        params = {"uri": change.uri} if change.uri else None
        with suppress(StoreUnavailable, UnknownSession):
            await self._channel.notify(METHODS[change.kind], params)
