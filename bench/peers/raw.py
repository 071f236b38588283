"""The floor: a raw ASGI handler and a raw WebSocket echo that decode and encode JSON with msgspec, and no more."""

import msgspec

HEADERS = [(b"content-type", b"application/json")]


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await websocket(receive, send)
        return
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = reply(body)
    length = (b"content-length", str(len(answer)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": answer})


def reply(body):
    call = msgspec.json.decode(body)
    text = call["params"].get("arguments", {}).get("text", "")
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": call["id"], "result": {"content": [{"type": "text", "text": text}], "isError": False}}
    )


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "mcp"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": reply(message["text"]).decode()})
