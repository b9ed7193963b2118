// Search of 100,000 documents, by words that few, some and many of them contain: the best 20 and
// the total, over HTTP, against bare FTS5. The admin sees all rows; a visitor sees those that a
// policy allows, which the bare server joins too.
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { startServer } from "./lib/servers.ts";

const DOCUMENTS = 100_000;
const WORDS_OF_ONE = 30;
const VOCABULARY = 20_000;
const PUSH = 1_000;
const ROUNDS = 3;
const LOAD = { connections: 8, seconds: 1 };
const ADMIN = "an-admin-token-for-benches";
/** Each word is about half as frequent as the one with half its number. */
const QUERIES = { few: "w9000", some: "w400", two: "w40 w90", many: "w20" };

const pylon = await startServer("pylon", "", { BENCH_APP: "search-app", PYLON_ADMIN_TOKEN: ADMIN });
const bare = await startServer("bare-search");
const random = mulberry(7);
for (let start = 0; start < DOCUMENTS; start += PUSH) {
  const rows = Array.from({ length: PUSH }, (_, at) => ({
    id: `d${start + at}`,
    text: Array.from({ length: WORDS_OF_ONE }, word).join(" "),
  }));
  const changes = rows.map(({ id, text }) => ({
    entity: "Document",
    row_id: id,
    kind: "insert",
    data: { text, isPublic: true },
  }));
  await post(`${pylon.url}/api/sync/push`, { changes });
  await post(`${bare.url}/rows`, rows);
}
await post(`${bare.url}/index`, {});

for (const [name, query] of Object.entries(QUERIES)) {
  const totals = await Promise.all(
    [pylon, bare].map(({ url }) => post(`${url}/api/search/Document`, { query })),
  );
  const [ours, theirs] = totals.map(({ total }) => Number(total));
  if (ours !== theirs) throw new Error(`${query}: ${String(ours)} and ${String(theirs)} hits.`);
  for (const token of [ADMIN, undefined]) {
    const asked = rawRequest("POST", "/api/search/Document", { token, body: { query } });
    const rounds: { value: number; baseline: number }[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const value = await load(pylon.url, asked, LOAD);
      const baseline = await load(bare.url, asked, LOAD);
      // The first round warms both up.
      if (round > 0) rounds.push({ value, baseline });
    }
    const who = token === undefined ? "under a policy" : "as admin";
    report(`search ${name} (${String(ours)} hits) ${who}`, "requests/s", rounds);
  }
}
await pylon.stop();
await bare.stop();

function word(): string {
  return `w${Math.floor(VOCABULARY ** random())}`;
}

/** The same numbers in each run. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN}` },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Record<string, unknown>;
}
