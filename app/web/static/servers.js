// The external servers of a gateway, asked for every two seconds while the page is seen.
import { address, authorization, shown } from "./mcp.js";

const EVERY = 2_000;
const SHORT = 200;

function cell(row, text) {
  const made = row.insertCell();
  made.textContent = shown(text);
  return made;
}

/** Why it is not simply ready, and what is wrong with its names. */
function remark(server) {
  const said = [server.reason, ...server.problems].filter(Boolean).join(" · ");
  return said.length > SHORT ? `${said.slice(0, SHORT)}…` : said;
}

function what(server) {
  const spec = server.spec;
  return server.package || spec.package || spec.image || spec.url || spec.template || spec.type || server.name;
}

function draw(servers) {
  const body = document.getElementById("servers").tBodies[0];
  const fresh = document.createElement("tbody");
  for (const server of servers) {
    const row = fresh.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = shown(server.id);
    row.append(head);
    cell(row, server.phase).dataset.phase = server.phase;
    cell(row, `${server.tools}${server.stale ? " (as last seen)" : ""}`);
    cell(row, server.restarts);
    cell(row, what(server));
    cell(row, remark(server)).className = "long";
  }
  body.replaceWith(fresh);
  document.getElementById("servers-frame").hidden = !servers.length;
  const ready = servers.filter((server) => server.phase === "ready").length;
  tell(servers.length ? `${ready} of ${servers.length} ready` : "No servers yet. Start one: slipway servers start time");
}

function tell(text) {
  const said = document.getElementById("servers-now");
  if (said.textContent !== text) said.textContent = text;
}

async function look() {
  if (document.visibilityState !== "visible") return;
  try {
    const response = await fetch(address("servers"), { headers: authorization(), cache: "no-store" });
    const answer = await response.json();
    if (response.ok) draw(answer);
    else tell(answer.detail || `The gateway answered ${response.status}.`);
  } catch {
    tell("The gateway does not answer.");
  }
}

/** Begin to look, where the page is a gateway's. */
export function watchServers() {
  if (!document.getElementById("servers")) return;
  look();
  setInterval(look, EVERY);
}
