// Inserts over HTTP into Postgres, against a bare server that sends the same statements through the
// bare driver. Both wait for the disk.
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { compareServers, NOTE } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";
import { startServer } from "./lib/servers.ts";

await using postgres = await PostgresServer.start();
const pylon = await startServer("pylon", await postgres.createDatabase());
const bare = await startServer("bare-postgres", await postgres.createDatabase());
await compareServers(
  {
    name: "postgres-insert",
    pylon: async (token) => rawRequest("POST", "/api/entities/Note", { token, body: NOTE }),
    bare: async () => rawRequest("POST", "/api/entities/Note", { body: NOTE }),
  },
  pylon,
  bare,
);
