"""The upstream of all bridges to HTTP: `echo.py` as Streamable HTTP with a session. `http_echo.py PORT [--tools N]`."""

import sys

import uvicorn
from echo import answer, tools

HEADERS = [(b"content-type", b"application/json"), (b"mcp-session-id", b"of-the-upstream")]
OFFERED = tools(int(sys.argv[sys.argv.index("--tools") + 1]) if "--tools" in sys.argv else 1)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    post = scope["method"] == "POST"
    out = answer(body, OFFERED) if post else None
    status = 200 if out is not None else 202 if post else 405
    headers = [*HEADERS, (b"content-length", b"%d" % len(out or b""))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": out or b""})


uvicorn.run(
    app,
    port=int(sys.argv[1]),
    http="httptools",
    loop="uvloop",
    access_log=False,
    log_level="warning",
    timeout_keep_alive=3600,  # the floor does not look whether its connections are still there
)
