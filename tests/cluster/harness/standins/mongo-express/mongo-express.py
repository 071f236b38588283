#!/opt/slipway/bin/python
"""Stands in for mongo-express: a page behind a password that lists the collections of the app's database."""

import base64
import hmac
import html
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pymongo import MongoClient

PAIR = f"{os.environ['ME_CONFIG_BASICAUTH_USERNAME']}:{os.environ['ME_CONFIG_BASICAUTH_PASSWORD']}"
EXPECTED = f"Basic {base64.b64encode(PAIR.encode()).decode()}"
DATABASE = MongoClient(os.environ["ME_CONFIG_MONGODB_URL"], serverSelectionTimeoutMS=5000).get_default_database()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if not hmac.compare_digest(self.headers.get("Authorization", ""), EXPECTED):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="Authorization Required"')
            self.end_headers()
            return
        names = "".join(f"<li>{html.escape(name)}</li>" for name in DATABASE.list_collection_names())
        body = f"<h1>{html.escape(DATABASE.name)}</h1><ul>{names}</ul>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# The first process of a container hears only what it asks to hear.
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8081"))), Page).serve_forever()
