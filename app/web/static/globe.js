// From the globe to a plane and back (Miller's cylindrical projection, which shows the poles), and shapes as SVG paths.
// Units of the plane are degrees of longitude; y grows downwards.
const DEGREE = Math.PI / 180;

export const WIDTH = 360;
export const HEIGHT = 2 * Math.abs(yOf(90));

export function yOf(latitude) {
  return (-1.25 * Math.log(Math.tan(Math.PI / 4 + 0.4 * latitude * DEGREE))) / DEGREE;
}

export function latitudeOf(y) {
  return Math.max(-90, Math.min(90, (2.5 * Math.atan(Math.exp(-0.8 * y * DEGREE)) - 0.625 * Math.PI) / DEGREE));
}

/** A longitude from -180 to 180. */
export function wrapped(longitude) {
  return ((((longitude + 180) % 360) + 360) % 360) - 180;
}

const short = (number) => Math.round(number * 1e4) / 1e4;
const point = ([longitude, latitude]) => `${short(longitude)} ${short(yOf(latitude))}`;

/** Positions whose neighbours are never half a world apart: across the antimeridian longitudes go on beyond 180. */
function unwrapped(positions) {
  let shift = 0;
  let before = null;
  return positions.map(([longitude, latitude]) => {
    if (before !== null) {
      if (longitude - before > 180) shift -= 360;
      else if (longitude - before < -180) shift += 360;
    }
    before = longitude;
    return [longitude + shift, latitude];
  });
}

function line(positions) {
  return `M${unwrapped(positions).map(point).join("L")}`;
}

function ring(positions) {
  const way = unwrapped(positions);
  const [first, last] = [way[0], way.at(-1)];
  if (Math.abs(last[0] - first[0]) > 180) {
    // It goes around a pole: what lies between it and that pole is inside.
    const pole = way.reduce((sum, [, latitude]) => sum + latitude, 0) < 0 ? -90 : 90;
    way.push([last[0], pole], [first[0], pole]);
  }
  return `M${way.map(point).join("L")}Z`;
}

/** A dot: a line without length, which round ends make visible at any scale. */
const dot = (position) => `M${point(position)}h0`;

const SHAPES = {
  Point: ["dots", dot],
  MultiPoint: ["dots", (all) => all.map(dot).join("")],
  LineString: ["lines", line],
  MultiLineString: ["lines", (all) => all.map(line).join("")],
  Polygon: ["areas", (all) => all.map(ring).join("")],
  MultiPolygon: ["areas", (all) => all.flat().map(ring).join("")],
};

/** What a GeoJSON document is drawn as: `{dots, lines, areas}`, each a path. */
export function pathsOf(document) {
  const paths = { dots: "", lines: "", areas: "" };
  const geometry = (value) => {
    if (!value) return;
    if (value.type === "GeometryCollection") {
      value.geometries.forEach(geometry);
      return;
    }
    const [kind, draw] = SHAPES[value.type];
    paths[kind] += draw(value.coordinates);
  };
  if (document.type === "FeatureCollection") for (const feature of document.features) geometry(feature.geometry);
  else geometry(document.type === "Feature" ? document.geometry : document);
  return paths;
}

/** Land and borders, from the file that the build makes: arcs of quantized steps, as in TopoJSON. */
export function worldPaths(world) {
  const arcs = world.arcs.map((steps) => {
    const positions = [];
    let [x, y] = [0, 0];
    for (let place = 0; place < steps.length; place += 2) {
      x += steps[place];
      y += steps[place + 1];
      positions.push([x * world.scale[0] + world.translate[0], y * world.scale[1] + world.translate[1]]);
    }
    return positions;
  });
  const along = (indices) =>
    indices.flatMap((index, place) => {
      const arc = index < 0 ? arcs[~index].toReversed() : arcs[index];
      return place ? arc.slice(1) : arc;
    });
  return {
    land: world.land.map((polygon) => polygon.map((indices) => ring(along(indices))).join("")).join(""),
    borders: world.borders.map((indices) => line(along(indices))).join(""),
  };
}

/** Lines of latitude and longitude, every thirty degrees. */
export function graticule() {
  const [top, bottom] = [yOf(90), yOf(-90)].map(short);
  let path = "";
  for (let longitude = -180; longitude < 180; longitude += 30) path += `M${longitude} ${top}V${bottom}`;
  for (let latitude = -60; latitude <= 60; latitude += 30) path += `M-180 ${short(yOf(latitude))}H180`;
  return path;
}

/** Coordinates as a person reads them. */
export function coordinates(latitude, longitude) {
  const side = (value, positive, negative) => `${Math.abs(value).toFixed(4)}° ${value < 0 ? negative : positive}`;
  return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}
