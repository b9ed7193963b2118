import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createServer, loadConfig } from "@pylonsync/server";

// Serves an app in its own process, and prints its URL.
const app = buildManifest({
  name: "memory",
  version: "1.0.0",
  entities: [entity("Note", { text: field.string() })],
});
const loaded = {
  dir: ".",
  manifest: JSON.parse(JSON.stringify(app)) as unknown,
  manifestModule: app,
  functions: new Map(),
  workflows: new Map(),
  shards: new Map(),
  web: null,
  diagnostics: [],
};
// oxlint-disable-next-line node/no-process-env -- it is a program, not a part of the library
const { env } = process;
const server = createServer({ app: loaded, config: loadConfig(env), env });
await server.start();
process.stdout.write(`${server.url}\n`);
