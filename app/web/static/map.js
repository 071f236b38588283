// The page of one map: what the server tells of it, drawn and listed.
import { Chart } from "./chart.js";
import { coordinates } from "./globe.js";
import { address, call, follow, keepToken, shown } from "./mcp.js";

const element = (id) => document.getElementById(id);
const session = element("chart").dataset.session;
const world = new URL("./world.json", import.meta.url);
const STATES = {
  live: "Live: changes appear as they are made.",
  lost: "The connection is lost: trying again.",
  token: "A token is needed.",
};

const state = { view: null, markers: new Map(), layers: new Map() };
const items = { markers: new Map(), layers: new Map() };
let picked = null;

const chart = new Chart(element("chart"), { picked: pick, moved: tellPlace });

function say(text) {
  if (element("said").textContent !== text) element("said").textContent = text;
}

function tellPlace() {
  element("place").textContent = coordinates(...chart.place);
}

function named(marker, id) {
  return shown(marker.label) || id;
}

/** Select a marker, show what it says, and bring it into view. */
function pick(id) {
  picked = id === picked ? null : id;
  chart.pick(picked);
  for (const [other, item] of items.markers) {
    const open = other === picked;
    item.querySelector("button").setAttribute("aria-expanded", String(open));
    item.querySelector("p").hidden = !open;
    if (open) item.scrollIntoView({ block: "nearest" });
  }
}

/** A new entry at the end of a list. */
function added(kind, id) {
  const item = element(`${kind}-item`).content.firstElementChild.cloneNode(true);
  items[kind].set(id, item);
  element(kind).append(item);
  return item;
}

function listMarker(id, marker) {
  let item = items.markers.get(id);
  if (!item) {
    item = added("markers", id);
    item.querySelector("button").addEventListener("click", () => {
      pick(id);
      const { latitude, longitude } = state.markers.get(id);
      if (picked) chart.show(latitude, longitude);
      tellPlace();
    });
  }
  item.querySelector(".swatch").setAttribute("fill", marker.color);
  item.querySelector("bdi").textContent = named(marker, id);
  item.querySelector("small").textContent = coordinates(marker.latitude, marker.longitude);
  item.querySelector("p").textContent = shown(marker.description) || "There is no description.";
}

function listLayer(id, layer) {
  let item = items.layers.get(id);
  if (!item) {
    item = added("layers", id);
    item.querySelector("input").addEventListener("change", (event) => showLayer(id, event.target));
  }
  item.querySelector("input").checked = layer.visible;
  item.querySelector(".swatch").setAttribute("fill", layer.color);
  item.querySelector("bdi").textContent = shown(layer.name) || id;
  item.querySelector("small").textContent = `${layer.features} ${layer.features === 1 ? "feature" : "features"}`;
}

/** Show or hide a layer for everybody, by the tool that agents use. */
async function showLayer(id, box) {
  try {
    const answer = await call("set_layer_visibility", { id, visible: box.checked, map_session: session });
    const wrong = answer.error?.message || (answer.result.isError && answer.result.content[0].text);
    if (wrong) throw new Error(wrong);
  } catch (error) {
    box.checked = !box.checked;
    say(`The layer stays as it is: ${error.message}`);
  }
}

const KINDS = {
  markers: {
    set: (id, marker) => {
      chart.setMarker(id, { ...marker, label: shown(marker.label) });
      listMarker(id, marker);
    },
    remove: (id) => chart.removeMarker(id),
  },
  layers: {
    set: (id, layer, changed) => {
      chart.setLayer(id, { ...layer, geojson: changed.geojson });
      listLayer(id, layer);
    },
    remove: (id) => chart.removeLayer(id),
  },
};

function remove(kind, id) {
  if (!state[kind].delete(id)) return;
  KINDS[kind].remove(id);
  items[kind].get(id)?.remove();
  items[kind].delete(id);
  if (id === picked) picked = null;
}

/** Take in what has changed: for each entry its new properties, or null where it is gone. */
function patch(change) {
  for (const kind of change.cleared || []) for (const id of [...state[kind].keys()]) remove(kind, id);
  for (const kind of Object.keys(KINDS)) {
    for (const [id, values] of Object.entries(change[kind] || {})) {
      if (values === null) remove(kind, id);
      else {
        const entry = { ...state[kind].get(id), ...values };
        state[kind].set(id, entry);
        KINDS[kind].set(id, entry, values);
      }
    }
    element(`${kind}-count`).textContent = `(${state[kind].size})`;
    element(`${kind}-none`).hidden = state[kind].size > 0;
  }
  if (change.view !== undefined) show(change.view);
}

/** Take in the whole map; what is as it was is not touched, so that nobody loses their place in a list. */
function replace(whole) {
  const change = { markers: Object.create(null), layers: Object.create(null), view: whole.view };
  if (JSON.stringify(whole.view) === JSON.stringify(state.view)) delete change.view;
  for (const kind of Object.keys(KINDS)) {
    for (const id of state[kind].keys()) if (!Object.hasOwn(whole[kind], id)) change[kind][id] = null;
    for (const [id, values] of Object.entries(whole[kind])) {
      if (JSON.stringify(values) !== JSON.stringify(state[kind].get(id))) change[kind][id] = values;
    }
  }
  patch(change);
}

function show(view) {
  state.view = view;
  if (!element("follow").checked) return;
  if (view) chart.show(view.latitude, view.longitude, view.zoom);
  else chart.showAll();
  tellPlace();
}

function stated(now) {
  element("connection").dataset.state = now;
  element("connection").textContent = STATES[now];
  element("token-form").hidden = now !== "token";
}

function begin() {
  follow(
    `events?session_id=${encodeURIComponent(session)}`,
    (name, data) => (name === "state" ? replace(data) : patch(data)),
    stated,
  );
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(event.target.querySelector("input").value.trim());
  begin();
});
element("closer").addEventListener("click", () => chart.zoom(1.5));
element("farther").addEventListener("click", () => chart.zoom(1 / 1.5));
element("all").addEventListener("click", () => {
  chart.showAll();
  tellPlace();
});
element("follow").addEventListener("change", () => show(state.view));
element("home").href = address("");

chart.draw();
tellPlace();
begin();
const response = await fetch(world);
chart.showWorld(await response.json());
