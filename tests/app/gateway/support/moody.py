"""An MCP server of the older era on its standard streams, with moods: each of its tools is one.

`echo` answers; `flood` writes garbage and news first; `mutter` tells its log; `breed` leaves a daemon behind; `stall`
answers late; `die` and `freeze` do not answer.
"""

import json
import os
import signal
import subprocess
import sys
import time

MOODS = ("echo", "flood", "mutter", "breed", "stall", "die", "freeze")
ABOUT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}, "logging": {}},
    "serverInfo": {"name": "moody", "version": "1"},
}
NEWS = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"news"}}\n'


def indulge(mood):
    if mood == "flood":
        os.write(1, b"garbage\n" * 5000)
        os.write(1, NEWS * 500)
    elif mood == "mutter":
        os.write(2, b"an error\n" * 1000)
    elif mood == "breed":
        subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
    elif mood == "stall":
        time.sleep(0.2)
    elif mood == "die":
        os._exit(3)
    elif mood == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)


def answer(method, params):
    if method == "initialize":
        return ABOUT
    if method == "tools/list":
        return {"tools": [{"name": mood, "inputSchema": {"type": "object"}} for mood in MOODS]}
    if method == "tools/call":
        indulge(params["name"])
        return {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    return {}


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a daemon of its own that is killed is no zombie of ours
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params", {}))
        os.write(1, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n")
