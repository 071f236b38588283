"""The floor of bridging: raw ASGI, ids rewritten, one shared child or one upstream address, no session, no metric.

`floor.py PORT stdio|http TARGET…`, served by uvicorn with httptools and uvloop.
"""

import asyncio
import sys

import msgspec
import uvicorn

HEADERS = [(b"content-type", b"application/json")]
WORDS = sys.argv[2:]


class Message(msgspec.Struct, omit_defaults=True):
    id: "int | str | None" = None
    jsonrpc: str = "2.0"
    method: str = msgspec.UNSET
    params: msgspec.Raw = msgspec.UNSET
    result: msgspec.Raw = msgspec.UNSET
    error: msgspec.Raw = msgspec.UNSET


decode, encode = msgspec.json.Decoder(Message).decode, msgspec.json.Encoder().encode
waiting: dict[int, asyncio.Future] = {}
numbers = iter(range(1, 1 << 60))


class Child(asyncio.SubprocessProtocol):
    left = b""

    def pipe_data_received(self, _, data):
        *lines, self.left = (self.left + data).split(b"\n")
        for line in lines:
            message = decode(line)
            waiting.pop(message.id).set_result(message)


class Connection(asyncio.Protocol):
    def __init__(self):
        self.left, self.future = b"", None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.left += data
        head, end, body = self.left.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            self.left = b""
            self.future.set_result(decode(body))


child = None
idle: list[Connection] = []


async def ask_child(message):
    global child
    if child is None:
        child, _ = await asyncio.get_running_loop().subprocess_exec(Child, *WORDS[1:], stderr=None)
    number = next(numbers)
    future = waiting[number] = asyncio.get_running_loop().create_future()
    message.id = number
    child.get_pipe_transport(0).write(encode(message) + b"\n")
    return await future


async def ask_url(message):
    loop = asyncio.get_running_loop()
    connection = idle.pop() if idle else (await loop.create_connection(Connection, "127.0.0.1", int(WORDS[1])))[1]
    connection.future = loop.create_future()
    message.id = next(numbers)
    body = encode(message)
    head = b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.transport.write(head % len(body) + body)
    answer = await connection.future
    idle.append(connection)
    return answer


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    message = decode(body)
    own = message.id
    answer = await (ask_child if WORDS[0] == "stdio" else ask_url)(message)
    answer.id = own
    out = encode(answer)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [*HEADERS, (b"content-length", b"%d" % len(out))]}
    )
    await send({"type": "http.response.body", "body": out})


uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="warning")
