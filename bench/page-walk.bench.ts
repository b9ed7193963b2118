// Page 1,000 of a list that is read page by page in the order of a date, against page 50: the cost
// of a page does not depend on its distance from the beginning.
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { startServer } from "./lib/servers.ts";

const ROWS = 25_000;
const PAGES = 1_000;
/** After the rows without a date, which come first in the reversed order. */
const NEAR = 50;
const ROUNDS = 5;
const PUSH = 1_000;
const LOAD = { connections: 8, seconds: 1 };
const ADMIN = "an-admin-token-for-benches";
const VARIABLES = { BENCH_APP: "pages-app", PYLON_ADMIN_TOKEN: ADMIN };

await using postgres = await PostgresServer.start();
for (const [database, databaseUrl] of [
  ["sqlite", ""],
  ["postgres", await postgres.createDatabase()],
] as const) {
  const server = await startServer("pylon", databaseUrl, VARIABLES);
  for (let start = 0; start < ROWS; start += PUSH) await push(server.url, start);
  for (const direction of ["asc", "desc"] as const) {
    const pageAt = (cursor: string | null) => ({
      where: { channelId: "c1" },
      order: { at: direction },
      limit: 20,
      cursor,
    });
    const cursors: (string | null)[] = [null];
    for (let page = 1; page < PAGES; page += 1) {
      const answer = await fetch(`${server.url}/api/page/Message`, {
        method: "POST",
        headers: { Authorization: `Bearer ${ADMIN}` },
        body: JSON.stringify(pageAt(cursors.at(-1) ?? null)),
      });
      cursors.push(((await answer.json()) as { next_cursor: string }).next_cursor);
    }
    const measure = (page: number): Promise<number> => {
      const body = pageAt(cursors[page - 1] ?? null);
      return load(
        server.url,
        rawRequest("POST", "/api/page/Message", { token: ADMIN, body }),
        LOAD,
      );
    };
    const rounds: { value: number; baseline: number }[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const baseline = await measure(NEAR);
      const value = await measure(PAGES);
      // The first round warms both up.
      if (round > 0) rounds.push({ value, baseline });
    }
    report(`page-walk ${database} ${direction}`, "pages/s", rounds);
  }
  await server.stop();
}

async function push(url: string, start: number): Promise<void> {
  const changes = Array.from({ length: PUSH }, (_, index) => {
    const n = start + index;
    // Two share a date, and one in a hundred has none.
    const at = n % 100 === 0 ? null : new Date(1_700_000_000_000 + (n >> 1) * 1000).toISOString();
    const data = { channelId: "c1", text: "a message of some forty characters, or so", at };
    return { entity: "Message", row_id: `row${n}`, kind: "insert", data };
  });
  const answer = await fetch(`${url}/api/sync/push`, {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN}` },
    body: JSON.stringify({ changes }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
