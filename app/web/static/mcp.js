// How the pages speak to the server: tool calls over Streamable HTTP (revision 2026-07-28) and streams of events.
const REVISION = "2026-07-28";
const META = "io.modelcontextprotocol/";
const SILENCE = 40_000; // the server says something every 15 s
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 10_000;
const base = new URL("..", import.meta.url);
let lastId = 0;
let token = sessionStorage.getItem("token") || "";

/** An address of this server, wherever it is mounted. */
export function address(path) {
  return new URL(path, base);
}

export function knownToken() {
  return token;
}

/** Use a token from now on, and in this tab until it is closed. */
export function keepToken(text) {
  token = text;
  sessionStorage.setItem("token", text);
}

export function authorization() {
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** A header's value for any text, as the protocol encodes what ASCII cannot say. */
export function headerValue(text) {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith("=?base64?")) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?base64?${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}?=`;
}

/** The events of a stream: `{name, id, data}`; a comment is an event without data. */
async function* events(response, heard = () => {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    if (!/\n\r?\n/.test((parts.at(-1) || "").slice(-2) + value)) {
      parts.push(value);
      continue;
    }
    const blocks = (parts.join("") + value).split(/\r?\n\r?\n/);
    parts = [blocks.pop()];
    for (const block of blocks) {
      const event = { name: "message", id: null, data: [] };
      for (const line of block.split(/\r?\n/)) {
        const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (field === "data") event.data.push(text);
        else if (field === "event") event.name = text;
        else if (field === "id") event.id = text;
      }
      yield { ...event, data: event.data.join("\n") };
    }
  }
}

/** The messages of an answer, whether it is JSON or a stream of events. */
async function* messages(response) {
  if (!(response.headers.get("content-type") || "").startsWith("text/event-stream")) {
    yield await response.json();
    return;
  }
  for await (const event of events(response)) if (event.data) yield JSON.parse(event.data);
}

/** Call a tool; `mirrored` are headers that repeat some arguments, `told` hears of progress. */
export async function call(name, args, mirrored = {}, told = () => {}) {
  lastId += 1;
  const meta = {
    [`${META}protocolVersion`]: REVISION,
    [`${META}clientInfo`]: { name: "slipway-page", version: "1" },
    [`${META}clientCapabilities`]: {},
    progressToken: lastId,
  };
  const body = { jsonrpc: "2.0", id: lastId, method: "tools/call", params: { name, arguments: args, _meta: meta } };
  const response = await fetch(address("mcp"), {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": REVISION,
      "mcp-method": "tools/call",
      "mcp-name": headerValue(name),
      ...mirrored,
      ...authorization(),
    },
    body: JSON.stringify(body),
  });
  for await (const message of messages(response)) {
    if (message.method) told(message.params || {});
    else return message;
  }
  throw new Error("the server ended the stream before it answered");
}

/**
 * Follow a stream for as long as the page lives: `heard(name, data)` gets each event, `stated(state)` hears of "live",
 * "lost" and "token". After an interruption it goes on behind the last event that was heard.
 */
export async function follow(path, heard, stated) {
  let last = null;
  let delay = FIRST_DELAY;
  for (;;) {
    const abort = new AbortController();
    let timer = 0;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE);
    };
    try {
      listen();
      const resumed = last === null ? {} : { "last-event-id": last };
      const headers = { accept: "text/event-stream", ...resumed, ...authorization() };
      const response = await fetch(address(path), { headers, cache: "no-store", signal: abort.signal });
      if (response.status === 401) {
        stated("token");
        return;
      }
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      stated("live");
      delay = FIRST_DELAY;
      for await (const event of events(response, listen)) {
        if (event.data) heard(event.name, JSON.parse(event.data));
        if (event.id !== null) last = event.id;
      }
    } catch (error) {
      console.info("the stream was interrupted:", error.message);
    } finally {
      clearTimeout(timer);
    }
    stated("lost");
    await pause(delay * (0.75 + Math.random() / 2));
    delay = Math.min(delay * 2, LONGEST_DELAY);
  }
}

/** Wait, but no longer than until the network is back. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });
}

/** Text as it may be shown: control characters and those that turn the direction of others are made visible. */
export function shown(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "\ufffd");
}
