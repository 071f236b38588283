"""FastMCP's proxy: `fast_proxy.py PORT URL`, `fast_proxy.py PORT COMMAND…`, or `fast_proxy.py PORT --many FILE`.

The file is an MCP configuration of several servers.
"""

import json
import sys
from pathlib import Path

import uvicorn
from fastmcp.server import create_proxy

words = sys.argv[2:]
if words[0] == "--many":
    target = json.loads(Path(words[1]).read_text())
elif words[0].startswith("http"):
    target = words[0]
else:
    target = {"mcpServers": {"echo": {"command": words[0], "args": words[1:]}}}
app = create_proxy(target).http_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", http="httptools", loop="uvloop")
