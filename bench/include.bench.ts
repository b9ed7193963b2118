// Fifty rows with twenty related rows each, over HTTP, against a bare server with the bare join:
// all of the related rows, and the first of them with a limit.
import { commentRows, CHILDREN, PARENTS, postRows } from "./lib/include-rows.ts";
import { report } from "./lib/report.ts";
import { startServer } from "./lib/servers.ts";

const ROUNDS = 5;
const CONNECTIONS = 8;
const SECONDS = 2;
const ADMIN = "an-admin-token-for-benches";

const HEADERS = { "Content-Type": "application/json", "Accept-Encoding": "identity" };

/** Responses per second; a large one arrives in chunks, so they are read completely. */
async function perSecond(ask: () => Promise<Response>): Promise<number> {
  const end = performance.now() + SECONDS * 1000;
  let count = 0;
  const run = async (): Promise<void> => {
    while (performance.now() < end) {
      const answer = await ask();
      if (!answer.ok) throw new Error(await answer.text());
      await answer.arrayBuffer();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
  return count / SECONDS;
}

const pylon = await startServer("pylon", "", {
  BENCH_APP: "include-app",
  PYLON_ADMIN_TOKEN: ADMIN,
});
const bare = await startServer("bare-join");
const answer = await fetch(`${pylon.url}/api/import`, {
  method: "POST",
  headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" },
  body: JSON.stringify({ entities: { Post: postRows(), Comment: commentRows() } }),
});
if (!answer.ok) throw new Error(await answer.text());
for (const [name, include] of [
  ["all", { comments: true }],
  ["limited", { comments: { limit: CHILDREN } }],
] as const) {
  const body = { $limit: PARENTS, $include: include };
  const ours = (): Promise<Response> =>
    fetch(`${pylon.url}/api/query/Post`, {
      method: "POST",
      headers: { ...HEADERS, Authorization: `Bearer ${ADMIN}` },
      body: JSON.stringify(body),
    });
  const theirs = (): Promise<Response> => fetch(`${bare.url}/${name}`, { headers: HEADERS });
  const rounds: { value: number; baseline: number }[] = [];
  for (let index = 0; index <= ROUNDS; index += 1) {
    const value = await perSecond(ours);
    const baseline = await perSecond(theirs);
    // The first round warms both up.
    if (index > 0) rounds.push({ value, baseline });
  }
  report(`include ${name}`, "requests/s", rounds);
}
await pylon.stop();
await bare.stop();
