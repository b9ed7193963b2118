// All rows of a new replica, for a client that parses them, against one download of the same rows
// as gzipped JSON, read from the same database by a bare server.
import { insertNote } from "./lib/compare.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";

const ROWS = 50_000;
const PUSH = 1000;
const ROUNDS = 5;
/** With its id and its owner, a row has about 150 bytes as JSON. */
const TEXT = "a note of some forty characters, or so it is";

const pylon = await startServer("pylon");
const bare = await startServer("bare");
const token = await guestToken(pylon.url);
await insertNote(bare.url);
for (let done = 0; done < ROWS; done += PUSH) {
  const changes = Array.from({ length: PUSH }, (_, index) => ({
    entity: "Note",
    row_id: crypto.randomUUID(),
    kind: "insert",
    data: { text: `${TEXT} ${done + index}`, count: index },
  }));
  await post(pylon, "/api/sync/push", { changes });
  await post(
    bare,
    "/rows",
    changes.map(({ row_id, data }) => ({ id: row_id, ...data })),
  );
}

const rounds: { value: number; baseline: number }[] = [];
const bytes: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const ours = await download(pylon, "/api/sync/pull?since=0", countChanges);
  const theirs = await download(bare, "/rows", countRows);
  // The first round warms both up.
  if (round === 0) continue;
  rounds.push({ value: ours.rate, baseline: theirs.rate });
  bytes.push({ value: ours.mib, baseline: theirs.mib });
}
await pylon.stop();
await bare.stop();
report("first-rows", "rows/s", rounds);
report("first-rows-wire", "MiB", bytes);

async function post(server: BenchServer, path: string, body: unknown): Promise<void> {
  const answer = await fetch(server.url + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}.`);
}

/**
 * As a browser downloads it: the time until the rows are available, and, with a second request, the
 * bytes.
 */
async function download(
  server: BenchServer,
  path: string,
  count: (answer: unknown) => number,
): Promise<{ readonly rate: number; readonly mib: number }> {
  const headers = { Authorization: `Bearer ${token}`, "Accept-Encoding": "gzip, br, zstd" };
  const started = performance.now();
  const rows = count(await (await fetch(server.url + path, { headers })).json());
  const seconds = (performance.now() - started) / 1000;
  if (rows < ROWS) throw new Error(`Only ${rows} rows came.`);
  const packed = await fetch(server.url + path, { headers, decompress: false });
  return { rate: rows / seconds, mib: (await packed.arrayBuffer()).byteLength / 2 ** 20 };
}

function countChanges(answer: unknown): number {
  return (answer as { changes: unknown[] }).changes.length;
}

function countRows(answer: unknown): number {
  return (answer as unknown[]).length;
}
