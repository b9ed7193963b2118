// Page 1,000 of a list that is read page by page in the order of a date, against page 1: a page
// costs the same, however far from the beginning it is.
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { openAppData } from "../packages/server/src/data/testing/app-data.ts";
import { PostgresServer } from "../tests/support/servers/postgres.ts";
import { report } from "./lib/report.ts";

const ROWS = 25_000;
const LIMIT = 20;
const PAGES = 1_000;
const ROUNDS = 5;
const REPEATS = 40;
const BATCH = 1_000;

const manifest = buildManifest({
  name: "pages",
  version: "1.0.0",
  access: "public",
  entities: [
    entity(
      "Message",
      { channelId: field.string(), text: field.string(), at: field.datetime().optional() },
      { indexes: [{ name: "by_channel", fields: ["channelId", "at"], unique: false }] },
    ),
  ],
});

await using postgres = await PostgresServer.start();
process.env["PYLON_TEST_POSTGRES_URL"] = await postgres.createDatabase();
for (const database of ["sqlite", "postgres"] as const) {
  await using app = await openAppData(manifest, { database });
  for (let start = 0; start < ROWS; start += BATCH) {
    await app.store.transact(async (tx) => {
      for (let n = start; n < start + BATCH; n += 1)
        await tx.insert("Message", {
          id: `row${n}`,
          channelId: "c1",
          text: "a message of some forty characters, or so",
          // Some share a date, and some have none.
          at: n % 100 === 0 ? null : new Date(1_700_000_000_000 + (n >> 1) * 1000).toISOString(),
        });
    });
  }
  for (const direction of ["asc", "desc"] as const) {
    const read = (cursor: string | null) =>
      app.reads().paginate("Message", {
        where: { channelId: "c1" },
        order: { at: direction },
        limit: LIMIT,
        cursor,
      });
    const [near, far] = [await cursorOf(read, 2), await cursorOf(read, PAGES)];
    const rounds: { value: number; baseline: number }[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const baseline = await pagesPerSecond(() => read(near));
      const value = await pagesPerSecond(() => read(far));
      // The first round warms both up.
      if (round > 0) rounds.push({ value, baseline });
    }
    report(`page-walk ${database} ${direction}`, "pages/s", rounds);
  }
}

/** The cursor with which the nth page is read. */
async function cursorOf(
  read: (cursor: string | null) => Promise<{ readonly nextCursor: string | null }>,
  page: number,
): Promise<string | null> {
  let cursor: string | null = null;
  for (let n = 1; n < page; n += 1) ({ nextCursor: cursor } = await read(cursor));
  return cursor;
}

async function pagesPerSecond(read: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let n = 0; n < REPEATS; n += 1) await read();
  return (REPEATS * 1000) / (performance.now() - started);
}
