// A server in a process of its own, for a test to kill: `bun replica.ts <redis url>` prints its
// address.
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf, startServer } from "./server.ts";

const app = appOf(
  buildManifest({
    name: "replicas",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
);
const { url } = await startServer(app, { REDIS_URL: process.argv[2] ?? "" });
process.stdout.write(`${url}\n`);
