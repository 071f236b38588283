// The map as SVG: the world three times side by side, so that it goes on beyond the antimeridian; layers on it; markers above.
import { graticule, HEIGHT, latitudeOf, pathsOf, WIDTH, worldPaths, wrapped, yOf } from "./globe.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_ZOOM = 16;
const MARGIN = 10; // degrees beyond the poles, so that a marker there is seen whole
const STEP = 1.5;

function make(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

/** Pixels for a degree at a zoom: at 0 the world is 256 pixels wide. */
const scaleOf = (zoom) => (256 * 2 ** zoom) / WIDTH;

export class Chart {
  /** `picked(id)` is told of a marker that is clicked, `moved()` of every change of view by hand. */
  constructor(frame, { picked, moved }) {
    this.frame = frame;
    this.picked = picked;
    this.moved = moved;
    this.center = [0, 0];
    this.scale = 0;
    this.markers = new Map();
    this.layers = new Map();
    this.svg = make("svg", { "aria-hidden": "true", focusable: "false" }, frame);
    this.plane = make("g", {}, this.svg);
    this.world = make("g", { id: "one-world" }, this.plane);
    for (const side of [-1, 1]) make("use", { href: "#one-world", x: side * WIDTH }, this.plane);
    make("path", { class: "graticule", d: graticule() }, this.world);
    this.land = make("g", {}, this.world);
    this.shapes = make("g", {}, this.world);
    this.pins = make("g", {}, this.svg);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  showWorld(data) {
    const { land, borders } = worldPaths(data);
    make("path", { class: "land", d: land }, this.land);
    make("path", { class: "borders", d: borders }, this.land);
  }

  /** Draw a marker, or draw it anew. */
  setMarker(id, { latitude, longitude, label, color }) {
    let pin = this.markers.get(id);
    if (!pin) {
      const group = make("g", { class: "pin" }, this.pins);
      pin = { group, ring: make("circle", { r: 14 }, group), spot: make("circle", { class: "spot", r: 7 }, group) };
      pin.text = make("text", { x: 11, y: 5 }, group);
      group.addEventListener("click", () => this.picked(id));
      pin.ring.classList.add("ring");
      this.markers.set(id, pin);
    }
    pin.spot.setAttribute("fill", color);
    pin.ring.setAttribute("stroke", color);
    pin.text.textContent = label.length > 40 ? `${label.slice(0, 39)}…` : label;
    pin.at = [longitude, yOf(latitude)];
    // What has just changed is ringed for a moment.
    pin.group.classList.remove("fresh");
    requestAnimationFrame(() => pin.group.classList.add("fresh"));
    this.drawSoon();
  }

  removeMarker(id) {
    this.markers.get(id)?.group.remove();
    this.markers.delete(id);
  }

  pick(id) {
    for (const [other, pin] of this.markers) pin.group.classList.toggle("picked", other === id);
    const pin = this.markers.get(id);
    if (pin) this.pins.append(pin.group);
  }

  /** Draw a layer, or change how it looks; `geojson` is left out where it is as before. */
  setLayer(id, { color, visible, geojson }) {
    let layer = this.layers.get(id);
    if (!layer || geojson) {
      layer?.group.remove();
      const group = make("g", { class: "layer" }, this.shapes);
      for (const [kind, d] of Object.entries(pathsOf(geojson))) if (d) make("path", { class: kind, d }, group);
      layer = { group };
      this.layers.set(id, layer);
    }
    layer.group.setAttribute("color", color);
    layer.group.setAttribute("display", visible ? "inline" : "none");
  }

  removeLayer(id) {
    this.layers.get(id)?.group.remove();
    this.layers.delete(id);
  }

  /** Show a place; without a zoom, as near as before. */
  show(latitude, longitude, zoom = null) {
    this.center = [longitude, yOf(latitude)];
    if (zoom !== null) this.scale = scaleOf(zoom);
    this.draw();
  }

  showAll() {
    this.center = [0, 0];
    this.scale = 0;
    this.draw();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const before = this.scale;
    const [across, down] = [(x - this.width / 2) / before, (y - this.height / 2) / before];
    this.scale = before * factor;
    this.limit();
    const left = 1 - before / this.scale; // the place under the pointer stays there
    this.move(across * left * this.scale, down * left * this.scale);
  }

  /** Move the view by pixels. */
  move(x, y) {
    this.center = [this.center[0] + x / this.scale, this.center[1] + y / this.scale];
    this.drawSoon();
    this.moved();
  }

  get place() {
    return [latitudeOf(this.center[1]), wrapped(this.center[0])];
  }

  limit() {
    const least = Math.min(this.width / WIDTH, this.height / (HEIGHT + 2 * MARGIN));
    this.scale = Math.max(least, Math.min(scaleOf(MOST_ZOOM), this.scale || least));
    const free = Math.max(0, HEIGHT / 2 + MARGIN - this.height / 2 / this.scale);
    this.center = [wrapped(this.center[0]), Math.max(-free, Math.min(free, this.center[1]))];
  }

  drawSoon() {
    this.drawing ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    this.width = this.frame.clientWidth;
    this.height = this.frame.clientHeight;
    if (!this.width || !this.height) return;
    this.limit();
    const { scale, width, height } = this;
    const [x, y] = this.center;
    this.plane.setAttribute("transform", `translate(${width / 2 - x * scale} ${height / 2 - y * scale}) scale(${scale})`);
    for (const pin of this.markers.values()) {
      const near = pin.at[0] + WIDTH * Math.round((x - pin.at[0]) / WIDTH);
      const [left, top] = [width / 2 + (near - x) * scale, height / 2 + (pin.at[1] - y) * scale];
      pin.group.setAttribute("transform", `translate(${left.toFixed(1)} ${top.toFixed(1)})`);
    }
  }

  listen() {
    const pointers = new Map();
    const { frame } = this;
    frame.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button, .pin")) return;
      frame.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    frame.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      this.move((before[0] - now[0]) / pointers.size, (before[1] - now[1]) / pointers.size);
      if (other) {
        const apart = (from) => Math.hypot(from[0] - other[0], from[1] - other[1]);
        const { left, top } = frame.getBoundingClientRect();
        if (apart(before) > 0) this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
      }
    });
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, (event) => pointers.delete(event.pointerId));
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = frame.getBoundingClientRect();
      this.zoom(STEP ** (-event.deltaY / 200), event.clientX - left, event.clientY - top);
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.move(-80, 0),
      ArrowRight: () => this.move(80, 0),
      ArrowUp: () => this.move(0, -80),
      ArrowDown: () => this.move(0, 80),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.showAll(),
    };
    frame.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.target !== frame) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
}
