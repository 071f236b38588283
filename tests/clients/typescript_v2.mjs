// The TypeScript SDK 2.x: node typescript_v2.mjs URL auto|legacy
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, mode] = process.argv.slice(2);
const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
const { tools } = await client.listTools();
const answer = await client.callTool({ name: 'echo', arguments: { text: 'héllo' } });
const refused = await client.callTool({ name: 'echo', arguments: { txt: 1 } });
console.log(
  JSON.stringify({
    tools: tools.map((tool) => tool.name).sort(),
    text: answer.content[0].text,
    refused: refused.isError === true,
    session: transport.sessionId !== undefined,
  }),
);
await client.close();
