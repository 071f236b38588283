"""A server of the older era on its standard streams that knows which process it is: `count` counts its own calls.

`counting.py [--stubborn] [--without-tools]`: stubborn ones ignore SIGTERM and the end of their input.
"""

import json
import os
import signal
import sys
import time


def answer(method, params):
    if method == "initialize":
        tools = {} if "--without-tools" in sys.argv else {"tools": {"listChanged": True}}
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": tools,
            "serverInfo": {"name": "counting", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("count", "die", "hang")]}
    if method == "tools/call":
        if params["name"] == "die":
            os._exit(3)
        if params["name"] == "hang":
            time.sleep(60)
        answer.count += 1
        text = json.dumps({"pid": os.getpid(), "count": answer.count})
        return {"content": [{"type": "text", "text": text}]}
    return {}


answer.count = 0
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params", {}))
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
        sys.stdout.flush()
while "--stubborn" in sys.argv:
    time.sleep(60)
