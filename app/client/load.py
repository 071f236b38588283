"""The load tester's public part."""

from app.client._load import MAX_CONNECTIONS, MAX_SECONDS, LoadPlan, LoadReport, run_load
from app.client._load_callers import HttpCaller, WebSocketCaller

__all__ = ["MAX_CONNECTIONS", "MAX_SECONDS", "HttpCaller", "LoadPlan", "LoadReport", "WebSocketCaller", "run_load"]
