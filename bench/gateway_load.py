"""The load on a bridge: wrk, with as many sessions as connections and ids that never repeat; for `gateway_calls.py`."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gateway_bridges import HEADERS, LOAD_CORE, Bridge, Talk

SESSIONS = 16
LUA = """
local sessions = {{ {sessions} }}
local headers = {{ {headers} }}
local body = [[{body}]]
local number = 1000
bad = 0
local me
function setup(thread) me = thread end
function request()
  number = number + 1
  if #sessions > 0 then headers["Mcp-Session-Id"] = sessions[number % #sessions + 1] end
  return wrk.format("POST", "{path}", headers, string.format(body, number))
end
function response(status, _, answer)
  if status ~= 200 or not string.find(answer, "hello", 1, true) then bad = bad + 1 end
end
function done(summary, latency, _)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("@ %d %d %d %d\\n", summary.requests, me:get("bad") + failed,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Reading:
    """What one load told."""

    cpu: float
    """Microseconds of the bridge's CPU a call."""
    median: float
    """Milliseconds until the answer, while as many calls run as there are connections."""
    late: float
    """Of the slowest in a hundred."""


def sessions_of(bridge: Bridge) -> list[str]:
    if not bridge.sessions:
        return []
    talk = Talk(bridge.port, bridge.path)
    found = [session for _ in range(SESSIONS) if (session := talk.open())]
    talk.close()
    return found


def load(bridge: Bridge, sessions: list[str], seconds: float) -> Reading:
    """Call one tool, 16 at a time; raises where an answer is not the one that is meant."""
    body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": bridge.params})
    script = LUA.format(
        sessions=", ".join(json.dumps(session) for session in sessions),
        headers=", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in HEADERS.items()),
        body=body.replace('"id": 0', '"id": %d'),
        path=bridge.path,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.lua"
        file.write_text(script)
        count = ["-t1", f"-c{SESSIONS}", f"-d{seconds:g}s", "--timeout", "30s"]
        url = f"http://127.0.0.1:{bridge.port}"
        before = bridge.cpu()
        words = ["taskset", "-c", str(LOAD_CORE), "wrk", *count, "-s", str(file), url]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=seconds + 60)
        used = bridge.cpu() - before
    told = next((line for line in done.stdout.splitlines() if line.startswith("@ ")), "")
    if not told:
        raise RuntimeError(f"{bridge.name}: {done.stdout}{done.stderr}")
    requests, bad, median, late = map(int, told.split()[1:])
    if bad or not requests:
        raise RuntimeError(f"{bridge.name}: {bad} of {requests} calls failed")
    return Reading(1e6 * used / requests, median / 1000, late / 1000)
