// Who is connected and what was called last, asked for every two seconds while the page is seen.
import { address, authorization, shown } from "./mcp.js";
import { watchServers } from "./servers.js";

const EVERY = 2_000;
let watching = false;

function cell(row, text) {
  const made = row.insertCell();
  made.textContent = shown(text);
}

function ago(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  return `${Math.round(seconds / 60)} min ago`;
}

function fill(id, rows, columns, none) {
  const body = document.getElementById(id).tBodies[0];
  const fresh = document.createElement("tbody");
  for (const row of rows) {
    const made = fresh.insertRow();
    for (const column of columns) cell(made, column(row));
  }
  if (!rows.length) {
    const empty = fresh.insertRow().insertCell();
    empty.colSpan = columns.length;
    empty.textContent = none;
  }
  body.replaceWith(fresh);
}

function render(live) {
  const now = `${live.sessions.length} ${live.sessions.length === 1 ? "session" : "sessions"}, ${live.running} running`;
  const summary = document.getElementById("live-now");
  if (summary.textContent !== now) summary.textContent = now;
  const seen = [(row) => row.client, (row) => row.revision, (row) => row.calls, (row) => ago(row.idle)];
  fill("live-sessions", live.sessions, seen, "Nobody has a session here.");
  const made = [
    (row) => row.what,
    (row) => row.client,
    (row) => (row.failed ? "error" : "answered"),
    (row) => `${row.milliseconds} ms`,
    (row) => ago(row.ago),
  ];
  fill("live-calls", live.calls, made, "Nothing was called yet: try a tool.");
}

async function look() {
  if (document.visibilityState !== "visible") return;
  try {
    const response = await fetch(address("api/live"), { headers: authorization(), cache: "no-store" });
    if (response.ok) render(await response.json());
  } catch {
    document.getElementById("live-now").textContent = "The server does not answer.";
  }
}

/** Begin to look, once. */
export function watchLive() {
  if (watching) return;
  watching = true;
  document.getElementById("live").hidden = false;
  look();
  setInterval(look, EVERY);
  watchServers();
}
