import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "../store/store.ts";
import type { IncludedRow } from "./include.ts";
import type { Reads } from "./reads.ts";
import { anyApps, loadAny, manifestOf, type AnyApp } from "./testing/any-app.ts";
import { Answers, type Result } from "./testing/any-answers.ts";
import { casesOf, type AnyCases, type Question } from "./testing/any-questions.ts";
import { openAppData, type AppData } from "./testing/app-data.ts";

// Every list, page, count, facet, aggregate, search and include of generated apps, rows, policies
// and callers equals the result of a scan of all rows. Faults planted into the order, the pages,
// the policies and the fields of reads are found within 250 cases. More of them, with a seed:
// `READS_SEED=1 READS_CASES=20000 npm test -- reads-agreement`.

const SEED = Number(process.env["READS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CASES = Number(process.env["READS_CASES"] ?? 500);
/** How often the rows of one app are replaced. */
const RUNS_OF_APP = 30;
const ids = (rows: readonly { readonly id: string }[]): string[] => rows.map(({ id }) => id);

/** Reads the pages from the first to the last one, and back. */
async function pagesOf(
  reads: Reads,
  { entity, size, where, order, include }: Question,
): Promise<IncludedRow[][]> {
  const [forth, back]: IncludedRow[][] = [[], []];
  const read = (cursor: string | null): ReturnType<Reads["paginate"]> =>
    reads.paginate(entity, { where, order, include, limit: size, cursor });
  let page = await read(null);
  for (;;) {
    forth?.push(...page.page);
    if (page.nextCursor === null) break;
    page = await read(page.nextCursor);
  }
  for (;;) {
    back?.unshift(...page.page);
    if (page.prevCursor === null) break;
    page = await read(page.prevCursor);
  }
  return [forth ?? [], back ?? []];
}

async function listed(reads: Reads, { entity, size }: Question): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for (;;) {
    const page = await reads.listPage(entity, size, rows.length);
    rows.push(...page.rows);
    if (!page.hasMore) return rows;
  }
}

/** Ignores the order: groups and hits of equal rank have no defined order. */
function asSet(rows: readonly unknown[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

function only(row: Result, names: readonly string[]): Result {
  return Object.fromEntries(names.map((name) => [name, row[name] ?? null]));
}

async function checkAggregate(reads: Reads, answers: Answers, asked: Question): Promise<void> {
  const { entity, where, groupBy, measured, atLeast } = asked;
  const groups = await reads.aggregate(entity, {
    count: "b",
    sum: measured,
    min: measured,
    max: measured,
    countDistinct: measured,
    groupBy,
    where,
    having: { count: { $gte: atLeast } },
  });
  const expected = answers.aggregate(asked);
  const names = Object.keys(expected[0] ?? groups[0] ?? {}).toSorted();
  expect(asSet(groups.map((row) => only(row, names)))).toEqual(
    asSet(expected.map((row) => only(row, names))),
  );
}

async function checkSearch(reads: Reads, answers: Answers, asked: Question): Promise<void> {
  const { entity, where, text, facetFilter, size } = asked;
  const expected = answers.search(asked);
  // Unlike the others, the filter on a facet's own field does not count for that facet.
  const filters = { $and: [where], ...facetFilter };
  const hits: string[] = [];
  for (let page = 0; ; page += 1) {
    const answer = await reads.search(entity, { query: text, filters, page, pageSize: size });
    expect(answer.total).toBe(expected.ids.length);
    expect(answer.facetCounts).toEqual(expected.facets);
    expect(answer.hits).toEqual(
      answers.visible(
        entity,
        ids(answer.hits).flatMap((id) => answers.readable(entity).filter((row) => row.id === id)),
      ),
    );
    hits.push(...ids(answer.hits));
    if (answer.hits.length < size) break;
  }
  expect(hits.toSorted()).toEqual(expected.ids.toSorted());
  const found = await reads.query(entity, { ...filters, $search: text ?? "" });
  expect(ids(found).toSorted()).toEqual(expected.ids.toSorted());
}

async function check(
  data: AppData,
  app: AnyApp,
  rows: AnyCases["rows"],
  question: Question,
): Promise<void> {
  const { entity, caller, where, order, include } = question;
  const reads = data.reads(caller);
  const answers = new Answers(app, rows, caller);
  const readable = answers.visible(entity, answers.readable(entity));
  expect(await listed(reads, question)).toEqual(readable);
  const all = rows.get(entity) ?? [];
  expect(await Promise.all(all.map(({ id }) => reads.get(entity, id)))).toEqual(
    all.map(({ id }) => readable.find((row) => row.id === id) ?? null),
  );
  const found = answers.found(question);
  const whole = answers.included(entity, found, include);
  expect(await reads.count(entity, where)).toBe(found.length);
  const filter = { ...where, $order: order };
  expect<unknown>(await reads.query(entity, { ...filter, $include: include })).toEqual(whole);
  expect(await reads.query(entity, { ...filter, $limit: 2, $offset: 1 })).toEqual(
    answers.visible(entity, found.slice(1, 3)),
  );
  expect<unknown>(await pagesOf(reads, question)).toEqual([whole, whole]);
  expect<unknown>(await reads.queryGraph({ [entity]: { where, order, include } })).toEqual({
    [entity]: whole,
  });
  await checkAggregate(reads, answers, question);
  await checkSearch(reads, answers, question);
}

/** @returns the number of checked cases */
async function checkApp(app: AnyApp, database: "sqlite" | "postgres"): Promise<number> {
  await using data = await openAppData(manifestOf(app), { database });
  let cases = 0;
  const property = fc.asyncProperty(casesOf(app), async ({ rows, questions }) => {
    await loadAny(data, rows);
    for (const question of questions) await check(data, app, rows, question);
    cases += questions.length;
  });
  try {
    await fc.assert(property, { seed: SEED, numRuns: RUNS_OF_APP });
  } catch (error) {
    console.error(`The app: ${JSON.stringify(app)}`);
    throw error;
  }
  return cases;
}

test.each(["sqlite", "postgres"] as const)(
  `%s: all reads equal a computation over the rows that the caller may read (seed ${SEED})`,
  async (database) => {
    const apps = fc
      .sample(anyApps, { seed: SEED, numRuns: Math.ceil(CASES / RUNS_OF_APP) })
      .values();
    for (let cases = 0; cases < CASES;) {
      const app = apps.next().value;
      if (app !== undefined) cases += await checkApp(app, database);
    }
  },
  // On a machine that is busy with other tests, most of this time is spent waiting for the
  // database.
  1_200_000,
);
