// The TypeScript SDK 1.x: node typescript_v1.mjs URL http|sse|websocket
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';

const [url, kind] = process.argv.slice(2);
const transports = {
  http: StreamableHTTPClientTransport,
  sse: SSEClientTransport,
  websocket: WebSocketClientTransport,
};
const client = new Client({ name: 'test', version: '1' });
const transport = new transports[kind](new URL(url));
await client.connect(transport);
const { tools } = await client.listTools();
const answer = await client.callTool({ name: 'echo', arguments: { text: 'héllo' } });
const steps = [];
await client.callTool({ name: 'wait', arguments: { seconds: 0.1 } }, undefined, {
  onprogress: ({ progress }) => steps.push(progress),
});
console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name).sort(),
    text: answer.content[0].text,
    progressed: steps.length > 0,
  }),
);
await client.close();
