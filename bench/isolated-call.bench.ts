// A query function in a separate process against the same one in the server's process: one that
// returns immediately, and one with a read of the database, which is an additional round trip
// between the processes.
import { compareServers } from "./lib/compare.ts";
import { rawRequest } from "./lib/load.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const ARGS = { count: 7 };

await compare("isolated-call", "echo");
await compare("isolated-call-read", "countNotes");

async function compare(name: string, fn: string): Promise<void> {
  await compareServers(
    {
      name,
      pylon: async (token) => rawRequest("POST", `/api/fn/${fn}Isolated`, { token, body: ARGS }),
      bare: async (url) =>
        rawRequest("POST", `/api/fn/${fn}`, { token: await guestToken(url), body: ARGS }),
    },
    await startServer("pylon"),
    await startServer("pylon"),
  );
}
