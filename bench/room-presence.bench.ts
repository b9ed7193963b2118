// Presence over HTTP: rooms that replicas share through Postgres, against rooms in Redis. Both keep
// their sessions in the same Postgres.
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { RedisServer } from "../tests/support/servers/redis.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const USERS = 32;
const ROOMS = 8;
const CONNECTIONS_EACH = 2;
const SECONDS = 2;
const ROUNDS = 5;

await using postgres = await PostgresServer.start();
const redis = await RedisServer.start();
const ours = await startServer("pylon", await postgres.createDatabase());
const theirs = await startServer("pylon", await postgres.createDatabase(), {
  REDIS_URL: redis.url,
});
const [onPostgres, onRedis] = [await presenceRequests(ours), await presenceRequests(theirs)];

const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const value = await rate(ours, onPostgres);
  const baseline = await rate(theirs, onRedis);
  if (round > 0) rounds.push({ value, baseline });
}
await Promise.all([ours.stop(), theirs.stop()]);
await redis.stop();
report("room-presence", "requests/s", rounds);

/** The request of each of several users, who are in a few rooms. */
async function presenceRequests({ url }: BenchServer): Promise<string[]> {
  const tokens = await Promise.all(Array.from({ length: USERS }, () => guestToken(url)));
  return Promise.all(
    tokens.map(async (token, n) => {
      const room = `room-${n % ROOMS}`;
      await fetch(`${url}/api/rooms/join`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}` },
        body: JSON.stringify({ room }),
      });
      return rawRequest("POST", "/api/rooms/presence", {
        token,
        body: { room, data: { x: 12, y: 34 } },
      });
    }),
  );
}

async function rate({ url }: BenchServer, requests: readonly string[]): Promise<number> {
  const rates = await Promise.all(
    requests.map((request) =>
      load(url, request, { connections: CONNECTIONS_EACH, seconds: SECONDS }),
    ),
  );
  return rates.reduce((sum, one) => sum + one, 0);
}
