"""Streamable HTTP from 2025-03-26 to 2025-11-25: sessions that any replica can serve."""

import asyncio
from collections.abc import Awaitable

from msgspec import UNSET

from app.protocol.calls import Call, Handshake
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import (
    CANCELLED,
    INVALID_REQUEST,
    LIMIT_REACHED,
    PARSE_ERROR,
    UNAVAILABLE,
    ProtocolError,
)
from app.protocol.messages import InvalidMessage, Message, decode_batch, encode_error
from app.protocol.revisions import HEADERLESS, NEWEST_WITH_HANDSHAKE, REVISIONS, Revision
from app.sessions.store import (
    LimitExceeded,
    Session,
    SessionStore,
    StoreUnavailable,
    UnknownSession,
    new_session_id,
)
from app.transports._channel import Switchboard
from app.transports._http_request import (
    HttpError,
    HttpRequest,
    bad_request,
    send_empty,
    send_json,
)
from app.transports._http_session_exchange import SessionExchange, unavailable
from app.transports._http_stream import SessionStreams

SESSION = b"mcp-session-id"
_STATUS = {PARSE_ERROR: 400, INVALID_REQUEST: 400, UNAVAILABLE: 503, LIMIT_REACHED: 429}
_NO_SESSION = "Send the Mcp-Session-Id header, with the id that the answer to 'initialize' brought."
_GONE = "This session does not exist or has ended: begin a new one with 'initialize'."


class StatefulHttp:
    """Answers requests that speak a revision with a handshake."""

    def __init__(self, dispatcher: Dispatcher, store: SessionStore, board: Switchboard) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._board = board
        self._streams = SessionStreams(store, board, dispatcher.changes)

    async def post(
        self,
        message: Message,
        request: HttpRequest,
    ) -> None:
        """Answer one POST of a single message."""
        request_id = None if message.id is UNSET else message.id
        try:
            if SESSION not in request.headers:
                if message.method != "initialize" or not message.is_request:
                    raise bad_request(_NO_SESSION, request_id)
                await self._initialize(message, request)
                return
            session = await self._session(request, request_id)
            if message.is_request:
                await self._request(message, session, request)
            else:
                await self._take_in(message, session)
                await send_empty(request.send, 202)
        except StoreUnavailable as error:
            raise _unavailable(error, request_id) from None

    async def post_batch(
        self,
        body: bytes,
        request: HttpRequest,
    ) -> None:
        """Answer one POST of a batch, where the session's revision has batches."""
        try:
            if SESSION not in request.headers:
                raise bad_request(f"A batch needs a session that speaks {HEADERLESS.name}: begin with 'initialize'.")
            session = await self._session(request, None)
            if not REVISIONS[session.revision].batches:
                raise bad_request(f"{session.revision} has no batches: send each message by itself.")
            try:
                messages = decode_batch(body)
            except InvalidMessage as error:
                raise HttpError(400, error) from None
            await self._batch(messages, session, request)
        except StoreUnavailable as error:
            raise _unavailable(error, None) from None

    async def get(self, request: HttpRequest) -> None:
        """Serve a stream of what the server has to say, or the rest of an answer that was cut off."""
        try:
            session = await self._session(request, None)
            await self._streams.serve(session, request)
        except StoreUnavailable as error:
            raise _unavailable(error, None) from None

    async def delete(self, request: HttpRequest) -> None:
        """End a session."""
        try:
            session = await self._session(request, None)
            await self._board.cancel_all(session.id)
            await self._store.end(session.id)
        except StoreUnavailable as error:
            raise _unavailable(error, None) from None
        await send_empty(request.send, 204)

    async def drain(self) -> None:
        """Let open streams go."""
        await self._streams.drain()

    async def _session(self, request: HttpRequest, request_id: str | int | None) -> Session:
        session_id = request.header(SESSION)
        if session_id is None:
            raise bad_request(_NO_SESSION, request_id)
        session = await self._store.load(session_id.decode("latin-1"))
        if session is None or session.owner != request.caller.subject:
            raise bad_request(_GONE, request_id, status=404)
        self._store.touch(session.id)
        return session

    async def _initialize(self, message: Message, request: HttpRequest) -> None:
        exchange = SessionExchange(self._board, "", NEWEST_WITH_HANDSHAKE, request.receive, request.send)
        call = self._call(message, None, NEWEST_WITH_HANDSHAKE, request, exchange)
        answer = await self._dispatcher.answer(call)
        if call.handshake is None:
            await send_json(request.send, _STATUS.get(call.failed, 200), answer)
            return
        session = session_from(call.handshake, owner=call.caller.subject)
        await self._store.create(session)
        await send_json(request.send, 200, answer, ((SESSION, session.id.encode()),))

    async def _request(
        self,
        message: Message,
        session: Session,
        request: HttpRequest,
    ) -> None:
        revision = REVISIONS[session.revision]
        exchange = SessionExchange(self._board, session.id, revision, request.receive, request.send)
        call = self._call(message, session, revision, request, exchange)
        exchange.watch()
        try:
            answer = await self._answer(call, session)
        finally:
            exchange.unwatch()
        if exchange.streaming:
            await exchange.answer(answer)
        else:
            await send_json(request.send, _STATUS.get(call.failed, 200), answer)

    async def _batch(
        self,
        messages: list[Message | InvalidMessage],
        session: Session,
        request: HttpRequest,
    ) -> None:
        revision = REVISIONS[session.revision]
        exchange = SessionExchange(self._board, session.id, revision, request.receive, request.send)
        answers: list[bytes] = []
        calls: list[Awaitable[bytes]] = []
        for message in messages:
            if isinstance(message, InvalidMessage):
                answers.append(encode_error(message.request_id, message))
            elif message.is_request:
                calls.append(self._answer(self._call(message, session, revision, request, exchange), session))
            else:
                await self._take_in(message, session)
        exchange.watch()
        try:
            answers += await asyncio.gather(*calls)
        finally:
            exchange.unwatch()
        if exchange.streaming:
            for number, answer in enumerate(answers, start=1):
                await exchange.answer(answer, last=number == len(answers))
        elif answers:
            await send_json(request.send, 200, b"[" + b",".join(answers) + b"]")
        else:
            await send_empty(request.send, 202)

    async def _answer(self, call: Call, session: Session) -> bytes:
        try:
            running = self._board.begin(session.id, call.id)
        except ProtocolError as error:
            call.failed = error.code
            return encode_error(call.id, error)
        try:
            answer = await self._dispatcher.answer(call)
            if call.session_changed:
                await self._store.save(session)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not running.cancelled or task is None:
                raise
            task.uncancel()
            return encode_error(call.id, ProtocolError(CANCELLED, "The request was cancelled."))
        except StoreUnavailable as error:
            problem = unavailable(error)
            call.failed = problem.code
            return encode_error(call.id, problem)
        except (UnknownSession, LimitExceeded) as error:
            call.failed = LIMIT_REACHED
            return encode_error(call.id, ProtocolError(LIMIT_REACHED, str(error)))
        finally:
            self._board.finish(session.id, call.id)
        return answer

    async def _take_in(self, message: Message, session: Session) -> None:
        if message.method is UNSET:
            await self._board.reply(session.id, message)
            return
        notice = self._dispatcher.notice(message.method, None if message.params is UNSET else message.params, session)
        if notice.save_session:
            await self._store.save(session)
        if notice.cancel is not None:
            await self._board.cancel(session.id, notice.cancel)

    def _call(
        self,
        message: Message,
        session: Session | None,
        revision: Revision,
        request: HttpRequest,
        exchange: SessionExchange,
    ) -> Call:
        return Call(
            id=message.id if message.id is not UNSET else 0,
            method=message.method if message.method is not UNSET else "",
            params=None if message.params is UNSET else message.params,
            revision=revision,
            session=session,
            caller=request.caller,
            channel=exchange,
            trace=request.trace(),
        )


def session_from(handshake: Handshake, *, owner: str) -> Session:
    """A new session, as its handshake agreed."""
    return Session(
        id=new_session_id(),
        revision=handshake.revision.name,
        owner=owner,
        client_info=handshake.client_info,
        client_capabilities=handshake.client_capabilities,
    )


def _unavailable(error: StoreUnavailable, request_id: str | int | None) -> HttpError:
    return HttpError(503, unavailable(error), request_id, ((b"retry-after", b"%d" % error.retry_after),))
