// The page of a registry: agents as dots by what they can do, asked for every two seconds while the page is seen.
import { address, authorization, keepToken, knownToken } from "./mcp.js";

const EVERY = 2_000;
const STATES = ["healthy", "degraded", "gone"];
const SVG = "http://www.w3.org/2000/svg";
const STEP = 18;
let seen = null;

function element(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** A state has a colour and a shape of its own: not everyone tells the colours apart. */
function dot(agent, at, columns) {
  const x = (at % columns) * STEP + STEP / 2;
  const y = Math.floor(at / columns) * STEP + STEP / 2;
  const shapes = {
    healthy: () => element("circle", { cx: x, cy: y, r: 6 }),
    degraded: () => element("path", { d: `M${x} ${y - 6.5} L${x + 6.5} ${y + 5} L${x - 6.5} ${y + 5} Z` }),
    gone: () => element("path", { d: `M${x - 5} ${y - 5} L${x + 5} ${y + 5} M${x + 5} ${y - 5} L${x - 5} ${y + 5}` }),
  };
  const made = shapes[agent.state]();
  made.setAttribute("class", `agent ${agent.state}`);
  made.append(element("title", {}, `${agent.name} ${agent.replica}: ${agent.state}, ${agent.endpoint}`));
  return made;
}

function summary(counts) {
  return STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`).join(", ") || "nobody";
}

function drawn(capability) {
  const row = document.getElementById("capability-item").content.cloneNode(true);
  row.querySelector("h3").textContent = capability.name;
  row.querySelector("p").textContent = `${summary(capability)} · version ${capability.versions.join(", ")}`;
  const columns = Math.max(1, Math.floor((document.getElementById("capabilities").clientWidth - 2) / STEP));
  const shown = capability.agents;
  const height = Math.ceil(shown.length / columns) * STEP;
  const chart = row.querySelector("svg");
  chart.setAttribute("viewBox", `0 0 ${columns * STEP} ${Math.max(height, STEP)}`);
  chart.setAttribute("width", columns * STEP);
  chart.setAttribute("height", Math.max(height, STEP));
  chart.setAttribute("aria-label", `${capability.name}: ${summary(capability)}`);
  chart.append(...shown.map((agent, at) => dot(agent, at, columns)));
  const left = STATES.reduce((sum, state) => sum + capability[state], 0) - shown.length;
  row.querySelector("small").textContent = left > 0 ? `and ${left} more` : "";
  return row;
}

function render(overview) {
  document.getElementById("agents-count").textContent = summary(overview.counts);
  const away = document.getElementById("away");
  away.hidden = !overview.stale;
  away.textContent = overview.stale ? "The store is away: this is what was known before." : "";
  document.getElementById("capabilities").replaceChildren(...overview.capabilities.map(drawn));
  document.getElementById("none").hidden = overview.capabilities.length > 0;
  const more = document.getElementById("more");
  more.hidden = !overview.more;
  more.textContent = overview.more ? `${overview.more} more capabilities are not drawn.` : "";
}

function say(state, text) {
  const place = document.getElementById("connection");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = text;
}

async function look() {
  if (document.visibilityState !== "visible") return;
  try {
    const asked = seen ? { "if-none-match": seen } : {};
    const response = await fetch(address("overview"), { headers: { ...asked, ...authorization() }, cache: "no-store" });
    document.getElementById("token-form").hidden = response.status !== 401;
    if (response.status === 401) {
      say("token", knownToken() ? "This token is not accepted." : "A token is needed.");
      return;
    }
    say("live", "Live");
    if (response.status === 200) {
      seen = response.headers.get("etag");
      render(await response.json());
    }
  } catch {
    say("lost", "The registry does not answer.");
  }
}

document.getElementById("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(document.getElementById("token").value);
  look();
});
window.addEventListener("resize", () => {
  seen = null;
});
look();
setInterval(look, EVERY);
