// Rows that the members of a group may read, with all 1,000 of them connected: inserts per second,
// against the same without connections.
import { openCrowd } from "./lib/crowd.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { startServer } from "./lib/servers.ts";

const USERS = 1000;
const GROUPS = 200;
const ROWS = 50_000;
const PUSH = 1000;
const ROUNDS = 5;
const LOAD = { connections: 64, seconds: 2 };
const ADMIN = "an-admin-token-for-benches";
const VARIABLES = { BENCH_APP: "groups-app", PYLON_ADMIN_TOKEN: ADMIN };

const server = await startServer("pylon", "", VARIABLES);
const users = await Promise.all(Array.from({ length: USERS }, guest));
await push(
  "Member",
  users.map(({ userId }, index) => ({ groupId: `g${index % GROUPS}`, userId })),
);
await push(
  "Message",
  Array.from({ length: ROWS }, (_, index) => ({ groupId: `g${index % GROUPS}`, text: "hello" })),
);
const insert = rawRequest("POST", "/api/entities/Message", {
  token: ADMIN,
  body: { groupId: "g7", text: "a message of some forty characters, or so" },
});
const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const baseline = await load(server.url, insert, LOAD);
  const url = `${server.url.replace("http", "ws")}/ws?since=${await head()}`;
  const crowd = await openCrowd(url, USERS, ...users.map(({ token }) => token));
  await crowd.received(1);
  const value = await load(server.url, insert, LOAD);
  crowd.stop();
  // The first round warms both up.
  if (round > 0) rounds.push({ value, baseline });
}
await server.stop();
report("live-exists", "inserts/s", rounds);

async function head(): Promise<number> {
  const answer = await fetch(`${server.url}/api/sync/pull?since=0&limit=0`);
  return ((await answer.json()) as { cursor: { last_seq: number } }).cursor.last_seq;
}

async function guest(): Promise<{ readonly token: string; readonly userId: string }> {
  const answer = await fetch(`${server.url}/api/auth/guest`, { method: "POST" });
  const { token, user_id: userId } = (await answer.json()) as { token: string; user_id: string };
  return { token, userId };
}

async function push(entity: string, rows: readonly object[]): Promise<void> {
  for (let done = 0; done < rows.length; done += PUSH) {
    const changes = rows.slice(done, done + PUSH).map((data, index) => ({
      entity,
      row_id: `${entity}${done + index}`,
      kind: "insert",
      data,
    }));
    const answer = await fetch(`${server.url}/api/sync/push`, {
      method: "POST",
      headers: { Authorization: `Bearer ${ADMIN}` },
      body: JSON.stringify({ changes, results: true }),
    });
    const { applied } = (await answer.json()) as { applied: number };
    if (applied !== changes.length) throw new Error(`Only ${applied} rows were written.`);
  }
}
