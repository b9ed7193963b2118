import { PylonError } from "@pylonsync/protocol";
import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN } from "../identity/identity.ts";
import type { CommitOptions } from "./commit.ts";
import { Importer } from "./import-rows.ts";
import { openAppData, user } from "./testing/app-data.ts";
import type { Writer } from "./writer.ts";

const Line = entity(
  "Line",
  {
    price: field.int(),
    count: field.int().default(1),
    note: field.string().optional(),
    total: field.int().computed((row) => Number(row["price"]) * Number(row["count"])),
    // Computed from the previous computed field.
    size: field
      .enum(["small", "large"])
      .computed((row) => (Number(row["total"]) < 100 ? "small" : "large")),
    label: field
      .string()
      .max(12)
      .optional()
      .computed((row) => (row["note"] === null ? null : String(row["note"]).toUpperCase())),
  },
  { indexes: [{ name: "by_total", fields: ["size", "total"], unique: false }], timestamps: true },
);
const Post = entity("Post", {
  title: field.string(),
  slug: field
    .string()
    .min(1)
    .default(({ data }) => String(data["title"]).toLowerCase().replaceAll(" ", "-")),
  key: field.string().default(({ data, uuid }) => `${String(data["slug"])}-${uuid()}`),
  writerId: field
    .string()
    .optional()
    .default(({ auth }) => auth.userId),
  signedBy: field.string().default(({ auth }) => auth.userId),
  due: field.datetime().default(({ now }) => new Date(now + 60_000)),
});
const waiting = (): never => Promise.resolve("late") as never;
const Late = entity("Late", { text: field.string().default(waiting) });

const manifest = buildManifest({
  name: "made",
  version: "1.0.0",
  access: "public",
  entities: [Line, Post, Late],
});
const ANN: CommitOptions = { caller: user("ann") };
const FUNCTION: CommitOptions = { caller: user("ann"), policies: "bypassed" };
const BY_ADMIN: CommitOptions = { caller: ADMIN };

type Row = Readonly<Record<string, unknown>>;
interface Model {
  readonly price: number;
  readonly count: number;
  readonly note: string | null;
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof PylonError) return `${error.code} ${error.field ?? ""}`;
    throw error;
  }
}

function naive({ price, count, note }: Model): Row {
  const total = price * count;
  const size = total < 100 ? "small" : "large";
  return { price, count, note, total, size, label: note === null ? null : note.toUpperCase() };
}

const change = fc.oneof(
  fc.record(
    {
      price: fc.integer({ min: 0, max: 20 }),
      count: fc.integer({ min: 0, max: 20 }),
      note: fc.option(fc.constantFrom("a", "bc", "a note that is too long")),
    },
    { requiredKeys: [] },
  ),
  fc.record({ count: fc.record({ $increment: fc.integer({ min: 1, max: 3 }) }) }),
);

for (const database of ["sqlite", "postgres"] as const) {
  test(`${database}: a computed field has the result of its function for the row`, async () => {
    await using app = await openAppData(manifest, { database });
    const write = (work: (writer: Writer) => Promise<unknown>, by = ANN): Promise<string> =>
      refusalOf(app.committer.commit(by, work));
    const start = fc.record({ price: fc.nat(20), count: fc.nat(20) });
    await fc.assert(
      fc.asyncProperty(start, fc.array(change, { maxLength: 6 }), async (first, changes) => {
        await app.clear();
        let model: Model = { ...first, note: null };
        expect(await write((writer) => writer.insert("Line", first, "row"))).toBe("done");
        for (const patch of changes) {
          const count = patch.count;
          const next = {
            ...model,
            ...patch,
            count:
              typeof count === "object" ? model.count + count.$increment : (count ?? model.count),
          };
          const isTaken = (next.note ?? "").length <= 12;
          expect(await write((writer) => writer.update("Line", "row", patch))).toBe(
            isTaken ? "done" : "INVALID_DATA label",
          );
          if (isTaken) model = next;
        }
        const expected = naive(model);
        expect(await app.reads().get("Line", "row")).toMatchObject(expected);
        const { size, total } = expected;
        expect(
          await app.reads().query("Line", { size, total, label: expected["label"] }),
        ).toHaveLength(1);
        expect(await app.reads().query("Line", { total: { $ne: total } })).toEqual([]);
      }),
      { numRuns: database === "sqlite" ? 60 : 15 },
    );
  });

  test(`${database}: defaults by function see the row, the caller and the time`, async () => {
    await using app = await openAppData(manifest, { database });
    const insert = (data: Row, by: CommitOptions): Promise<unknown> =>
      app.committer.commit(by, (writer) => writer.insert("Post", data, String(data["title"])));
    const now = app.platform.now();
    await insert({ title: "One" }, ANN);
    const one = await app.reads().get("Post", "One");
    expect(one).toMatchObject({
      slug: "one",
      key: expect.stringMatching(/^one-[0-9a-f-]{36}$/),
      writerId: "ann",
      signedBy: "ann",
      due: new Date(now + 60_000).toISOString(),
    });
    // Given values are kept, including null.
    await insert({ title: "Two", slug: "second", writerId: null }, FUNCTION);
    expect(await app.reads().get("Post", "Two")).toMatchObject({ slug: "second", writerId: null });
    const nobody: CommitOptions = { caller: { ...user("x"), userId: null } };
    expect(await refusalOf(insert({ title: "Four" }, nobody))).toBe("MISSING_FIELD signedBy");
    await expect(app.committer.commit(ANN, (writer) => writer.insert("Late", {}))).rejects.toThrow(
      "The default of Late.text is set by a function that returns a promise",
    );
  });
}

test("a computed field can't be written; an import computes it again", async () => {
  await using app = await openAppData(manifest);
  const write = (by: CommitOptions, work: (writer: Writer) => Promise<unknown>): Promise<string> =>
    refusalOf(app.committer.commit(by, work));
  await write(ANN, (writer) => writer.insert("Line", { price: 2 }, "row"));
  for (const by of [ANN, FUNCTION, BY_ADMIN]) {
    for (const value of [7, null, { $increment: 1 }]) {
      expect(await write(by, (writer) => writer.insert("Line", { price: 1, total: value }))).toBe(
        "READONLY_FIELD total",
      );
      expect(await write(by, (writer) => writer.update("Line", "row", { total: value }))).toBe(
        "READONLY_FIELD total",
      );
    }
  }
  async function* items() {
    yield {
      line: 1,
      entity: "Line",
      row: { id: "old", price: 3, count: 4, total: 99, size: "large" },
    };
    await Promise.resolve();
  }
  const importer = new Importer(app.committer, ADMIN, "insert");
  await importer.run(items(), () => Promise.resolve());
  expect(await app.reads().get("Line", "old")).toMatchObject({ total: 12, size: "small" });
});

test("a hook's change affects computed fields, and its computed values are ignored", async () => {
  const plugin = definePlugin({
    name: "hooks",
    hooks: {
      beforeInsert: (data) => ({ ...data, price: 10, total: 5 }),
      beforeUpdate: (patch, before) => ({ total: before["total"], ...patch, count: 3 }),
    },
  });
  await using app = await openAppData(
    buildManifest({ ...manifest, entities: [Line], plugins: [plugin] }),
  );
  await app.committer.commit(ANN, (writer) => writer.insert("Line", { price: 1 }, "row"));
  expect(await app.reads().get("Line", "row")).toMatchObject({ price: 10, total: 10 });
  await app.committer.commit(ANN, (writer) => writer.update("Line", "row", { price: 50 }));
  expect(await app.reads().get("Line", "row")).toMatchObject({ total: 150, size: "large" });
});
