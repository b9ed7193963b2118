// Reading one row by its id over HTTP with a session, against the same without one: the cost of
// looking up the session.
import { insertNote } from "./lib/compare.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const ROUNDS = 9;
const LOAD = { connections: 64, seconds: 2 };

const server = await startServer("pylon");
const token = await guestToken(server.url);
const path = await insertNote(server.url, token);
const rounds: { value: number; baseline: number }[] = [];
for (let index = 0; index <= ROUNDS; index += 1) {
  const value = await load(server.url, rawRequest("GET", path, { token }), LOAD);
  const baseline = await load(server.url, rawRequest("GET", path), LOAD);
  // The first round warms both up.
  if (index > 0) rounds.push({ value, baseline });
}
await server.stop();
report("session", "requests/s", rounds);
