// The forms of the page: each calls a tool over Streamable HTTP (revision 2026-07-28) and shows what comes back.
"use strict";

const REVISION = "2026-07-28";
const META = "io.modelcontextprotocol/";
let token = "";
let lastId = 0;

const base = new URL(".", document.baseURI);

function headerValue(text) {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !text.startsWith("=?base64?")) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?base64?${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}?=`;
}

function authorization() {
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** The arguments of a form and the headers that mirror some of them; an empty field that is not needed is left out. */
function read(form) {
  const values = {};
  const headers = {};
  for (const field of form.querySelectorAll("[data-kind]")) {
    const kind = field.dataset.kind;
    const text = field.value;
    if (kind === "boolean") values[field.name] = field.checked;
    else if (text === "" && !field.required) continue;
    else if (kind === "integer" || kind === "number") values[field.name] = Number(text);
    else if (kind === "json") {
      try {
        values[field.name] = JSON.parse(text);
      } catch (error) {
        throw new Error(`${field.name} is not JSON: ${error.message}`);
      }
    } else values[field.name] = text;
    if (field.dataset.header) headers[`mcp-param-${field.dataset.header}`] = headerValue(String(values[field.name]));
  }
  return { values, headers };
}

/** The messages of an answer, whether it is JSON or a stream of events. */
async function* messages(response) {
  if (!(response.headers.get("content-type") || "").startsWith("text/event-stream")) {
    yield await response.json();
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.join("")) yield JSON.parse(data.join("\n"));
    }
  }
}

async function call(name, args, mirrored, told) {
  lastId += 1;
  const meta = {
    [`${META}protocolVersion`]: REVISION,
    [`${META}clientInfo`]: { name: "slipway-page", version: "1" },
    [`${META}clientCapabilities`]: {},
    progressToken: lastId,
  };
  const body = { jsonrpc: "2.0", id: lastId, method: "tools/call", params: { name, arguments: args, _meta: meta } };
  const response = await fetch(new URL("mcp", base), {
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

function show(output, text, wrong) {
  output.textContent = text;
  output.classList.toggle("wrong", wrong);
}

function described(result) {
  const texts = (result.content || []).map((block) => {
    if (block.type === "text") return block.text;
    if (block.type === "resource_link") return block.uri;
    return `[${block.type} ${block.mimeType || ""}]`;
  });
  if (texts.length) return texts.join("\n");
  return JSON.stringify(result.structuredContent ?? result, null, 2);
}

async function submitTool(form) {
  const output = form.querySelector("output");
  const button = form.querySelector("button");
  button.disabled = true;
  show(output, "…", false);
  try {
    const { values, headers } = read(form);
    const answer = await call(form.dataset.tool, values, headers, (params) => {
      if (params.progress !== undefined) show(output, `… ${params.progress}${params.total ? ` of ${params.total}` : ""}`, false);
    });
    if (answer.error) show(output, answer.error.message, true);
    else show(output, described(answer.result), answer.result.isError === true);
  } catch (error) {
    show(output, error.message, true);
  } finally {
    button.disabled = false;
  }
}

async function showTools(form) {
  token = form.querySelector("input").value.trim();
  const response = await fetch(new URL("page/tools", base), { headers: authorization() });
  const tools = document.getElementById("tools");
  if (response.ok) tools.innerHTML = await response.text();
  else tools.textContent = `The server answered ${response.status}: is the token right?`;
}

async function copy(button) {
  const said = document.getElementById("said");
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    said.textContent = "Copied.";
    button.firstChild.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    said.textContent = "The browser does not let this page copy: the command is selected.";
  }
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.id === "token-form") showTools(event.target);
  else if (event.target.dataset.tool) submitTool(event.target);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
