// A server in a separate process, with short timeouts of its rooms, for a test to kill: `bun
// replica.ts <redis url>` prints its address.
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf, startServer } from "./server.ts";
import { SHORT_TIMES } from "./short-times.ts";

const app = appOf(
  buildManifest({
    name: "replicas",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
);
const env = { REDIS_URL: process.argv[2] ?? "" };
const { url } = await startServer(app, env, {}, SHORT_TIMES);
process.stdout.write(`${url}\n`);
