// The page at `/`: each form calls a tool and shows what comes back; what goes on now is shown beside.
import { address, authorization, call, headerValue, keepToken, knownToken } from "./mcp.js";
import { watchLive } from "./live.js";

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

async function showTools() {
  const response = await fetch(address("parts/tools"), { headers: authorization() });
  const tools = document.getElementById("tools");
  if (response.ok) {
    tools.innerHTML = await response.text();
    watchLive();
  } else tools.textContent = `The server answered ${response.status}: is the token right?`;
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
  if (event.target.id === "token-form") {
    keepToken(event.target.querySelector("input").value.trim());
    showTools();
  } else if (event.target.id === "map-form") {
    location.assign(address(`map/${encodeURIComponent(event.target.querySelector("input").value)}`));
  } else if (event.target.dataset.tool) submitTool(event.target);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

if (!document.getElementById("token-form")) watchLive();
else if (knownToken()) showTools();
