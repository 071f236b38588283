"""What the servers behind all bridges answer: one tool or many, of the older era, as quick as Python gets."""

import msgspec

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


class Message(msgspec.Struct):
    method: str = ""
    id: "int | str | None" = None
    params: msgspec.Raw = msgspec.Raw(b"{}")


class Arguments(msgspec.Struct):
    text: str = ""


class Params(msgspec.Struct):
    arguments: Arguments = msgspec.field(default_factory=Arguments)


decode, encode = msgspec.json.Decoder(Message).decode, msgspec.json.Encoder().encode
params_of = msgspec.json.Decoder(Params).decode


def tools(count: int) -> list[dict]:
    names = ["echo", *(f"echo_{number}" for number in range(1, count))]
    return [{"name": name, "description": "Says it again.", "inputSchema": SCHEMA} for name in names]


def answer(data: bytes, offered: list[dict]) -> "bytes | None":
    """The answer to one message; None where it wants none."""
    message = decode(data)
    if message.id is None:
        return None
    match message.method:
        case "tools/call":
            text = params_of(message.params).arguments.text
            result = {"content": [{"type": "text", "text": text}], "isError": False}
        case "initialize":
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "echo", "version": "1"},
            }
        case "tools/list":
            result = {"tools": offered}
        case "ping":
            result = {}
        case _:
            error = {"code": -32601, "message": "no such method"}
            return encode({"jsonrpc": "2.0", "id": message.id, "error": error})
    return encode({"jsonrpc": "2.0", "id": message.id, "result": result})
