// Makes the page's world map: coasts and borders of Natural Earth (public domain), as the npm package world-atlas
// brings them, simplified until they are small enough to send.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { feature, mergeArcs, meshArcs, quantize } from "topojson-client";
import { filter, planarRingArea, presimplify, quantile, simplify } from "topojson-simplify";

const KEEP = 0.3; // of the points, those that matter most
const SMALLEST = 0.05; // square degrees; smaller islands are left out
const POLE = -84; // the outline of Antarctica comes as a line along the pole and a coast: both stay
const GRID = 14400; // steps around the globe: a fortieth of a degree

const [target] = process.argv.slice(2);
const source = createRequire(import.meta.url).resolve("world-atlas/countries-50m.json");
const read = presimplify(JSON.parse(readFileSync(source, "utf8")));
const simple = simplify(read, quantile(read, KEEP));
const topology = quantize(filter(simple, isKept), GRID);
const countries = topology.objects.countries;

function isKept(arcs) {
  const [ring] = feature(simple, { type: "Polygon", arcs: [arcs] }).geometry.coordinates;
  return planarRingArea(ring) >= SMALLEST || ring.some(([, latitude]) => latitude < POLE);
}

const land = mergeArcs(topology, countries.geometries).arcs;
const borders = meshArcs(topology, countries, (one, other) => one !== other).arcs;

// Only the arcs that are drawn, numbered anew; `~n` is arc n backwards, as in TopoJSON.
const numbers = new Map();
const arcs = [];
function renumbered(index) {
  const forward = index < 0 ? ~index : index;
  if (!numbers.has(forward)) {
    numbers.set(forward, arcs.length);
    arcs.push(topology.arcs[forward].flat());
  }
  return index < 0 ? ~numbers.get(forward) : numbers.get(forward);
}

const world = {
  source: "Natural Earth 1:50m, public domain, from world-atlas 2.0.2; simplified by build.mjs",
  scale: topology.transform.scale.map((step) => Number(step.toPrecision(10))),
  translate: topology.transform.translate,
  land: land.map((polygon) => polygon.map((ring) => ring.map(renumbered))),
  borders: borders.map((line) => line.map(renumbered)),
  arcs,
};
writeFileSync(target, `${JSON.stringify(world)}\n`);
