"""The child of all bridges: a server of the older era on its standard streams, as quick as Python gets.

`stdio_echo.py [--tools N] [--start SECONDS] [--stubborn]`: stubborn ones ignore the end of their input, and SIGTERM.
"""

import os
import signal
import sys
import time

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


def main() -> None:
    words = sys.argv[1:]
    count = int(words[words.index("--tools") + 1]) if "--tools" in words else 1
    stubborn = "--stubborn" in words
    if "--start" in words:
        time.sleep(float(words[words.index("--start") + 1]))
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    decode, encode = msgspec.json.Decoder(Message).decode, msgspec.json.Encoder().encode
    params_of = msgspec.json.Decoder(Params).decode
    names = ["echo", *(f"echo_{number}" for number in range(1, count))]
    tools = [{"name": name, "description": "Says it again.", "inputSchema": SCHEMA} for name in names]
    left = b""
    while chunk := os.read(0, 1 << 20):
        *lines, left = (left + chunk).split(b"\n")
        out = []
        for line in lines:
            message = decode(line)
            if message.id is None:
                continue
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
                    result = {"tools": tools}
                case "ping":
                    result = {}
                case _:
                    error = {"code": -32601, "message": "no such method"}
                    out.append(encode({"jsonrpc": "2.0", "id": message.id, "error": error}))
                    continue
            out.append(encode({"jsonrpc": "2.0", "id": message.id, "result": result}))
        if out:
            os.write(1, b"\n".join(out) + b"\n")
    while stubborn:
        time.sleep(60)


main()
