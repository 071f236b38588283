"""A stdio server that takes its time to start: `slow_start.py SECONDS`. Light, so that twenty of them are."""

import json
import os
import sys
import time

time.sleep(float(sys.argv[1]))
TOOLS = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
ABOUT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "slow", "version": "1"},
}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    match message["method"]:
        case "initialize":
            answer["result"] = ABOUT
        case "tools/list":
            answer["result"] = TOOLS
        case "ping":
            answer["result"] = {}
        case "tools/call":
            text = message["params"]["arguments"]["text"]
            answer["result"] = {"content": [{"type": "text", "text": text}]}
        case _:
            answer["error"] = {"code": -32601, "message": "no such method"}
    os.write(1, json.dumps(answer).encode() + b"\n")
