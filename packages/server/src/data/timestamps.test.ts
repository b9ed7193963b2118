import { PylonError } from "@pylonsync/protocol";
import { buildManifest, definePlugin, entity, field, type EntityHooks } from "@pylonsync/sdk";
import { timestamps as timestampsPlugin } from "@pylonsync/sdk/plugins";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ADMIN } from "../identity/identity.ts";
import type { CommitOptions } from "./commit.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";
import type { Writer } from "./writer.ts";

const open = (hooks: EntityHooks = {}): Promise<AppData> =>
  openAppData(
    buildManifest({
      name: "timestamps",
      version: "1.0.0",
      access: "public",
      entities: [entity("Note", { text: field.string() }, { timestamps: true })],
      plugins: Object.keys(hooks).length === 0 ? [] : [definePlugin({ name: "hooks", hooks })],
    }),
  );
const ANN: CommitOptions = { caller: user("ann") };
const IMPORT: CommitOptions = { caller: ADMIN };
const FUNCTION: CommitOptions = { caller: user("ann"), policies: "bypassed" };

const iso = (time: number): string => new Date(time).toISOString();

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof PylonError) return `${error.code} ${error.field ?? ""}`;
    throw error;
  }
}

test("a row is stamped with the time of each change, and its stamp only increases", async () => {
  await using app = await open();
  const step = fc.record({
    clock: fc.oneof(fc.integer({ min: -5_000, max: 5_000 }), fc.constant(0)),
    texts: fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 6 }), async (steps) => {
      const madeAt = app.platform.now();
      const { result: id } = await app.committer.commit(ANN, (writer) =>
        writer.insert("Note", { text: "a" }),
      );
      let expected = { text: "a", createdAt: iso(madeAt), updatedAt: iso(madeAt) };
      for (const { clock, texts } of steps) {
        app.platform.advance(clock);
        const now = app.platform.now();
        await app.committer.commit(ANN, async (writer) => {
          for (const text of texts) await writer.update("Note", id, { text });
        });
        for (const text of texts) {
          if (text === expected.text) continue;
          const updatedAt = iso(Math.max(now, Date.parse(expected.updatedAt) + 1));
          expected = { ...expected, text, updatedAt };
        }
        expect<object | null>(await app.reads().get("Note", id)).toEqual({ id, ...expected });
      }
    }),
    { numRuns: 40 },
  );
});

test("neither callers nor functions write a stamp; an import restores stamps", async () => {
  await using app = await open();
  const old = { createdAt: "2020-01-01T00:00:00.000Z", updatedAt: "2021-01-01T00:00:00.000Z" };
  const { result: id } = await app.committer.commit(IMPORT, (writer) =>
    writer.insert("Note", { text: "a", ...old }),
  );
  expect(await app.reads().get("Note", id)).toMatchObject(old);
  const write = (options: CommitOptions, work: (writer: Writer) => Promise<unknown>) =>
    codeOf(app.committer.commit(options, work));
  for (const options of [ANN, FUNCTION]) {
    for (const stamp of ["createdAt", "updatedAt"] as const) {
      const stamps = { [stamp]: old[stamp] };
      expect(
        await write(options, (writer) => writer.insert("Note", { text: "b", ...stamps })),
      ).toBe(`READONLY_FIELD ${stamp}`);
      expect(await write(options, (writer) => writer.update("Note", id, stamps))).toBe(
        `READONLY_FIELD ${stamp}`,
      );
    }
  }
  // Sending a whole row back does not restore its previous stamp.
  await app.committer.commit(IMPORT, (writer) => writer.update("Note", id, { text: "b", ...old }));
  expect(await app.reads().get("Note", id)).toMatchObject({
    createdAt: old.createdAt,
    updatedAt: iso(app.platform.now()),
  });
  await app.committer.commit(IMPORT, (writer) =>
    writer.update("Note", id, { updatedAt: "2022-01-01T00:00:00.000Z" }),
  );
  expect((await app.reads().get("Note", id))?.["updatedAt"]).toBe("2022-01-01T00:00:00.000Z");
});

test("an app that stamps all entities leaves out those that say timestamps: false", async () => {
  await using app = await openAppData(
    buildManifest({
      name: "stamped",
      version: "1.0.0",
      access: "public",
      timestamps: true,
      entities: [
        entity("Note", { text: field.string() }),
        entity("Bare", { text: field.string() }, { timestamps: false }),
      ],
      plugins: [timestampsPlugin({ entities: ["Note"] })],
    }),
  );
  const now = iso(app.platform.now());
  for (const name of ["Note", "Bare"])
    await app.committer.commit(ANN, (writer) => writer.insert(name, { text: "a" }, "x"));
  expect<object | null>(await app.reads().get("Note", "x")).toEqual({
    id: "x",
    text: "a",
    createdAt: now,
    updatedAt: now,
  });
  expect<object | null>(await app.reads().get("Bare", "x")).toEqual({ id: "x", text: "a" });
});

test("a hook may return a whole row: the stamps are still the server's", async () => {
  const forged = "1999-01-01T00:00:00.000Z";
  await using app = await open({
    beforeInsert: (data) => ({ ...data, createdAt: forged }),
    beforeUpdate: (patch, before) => ({
      text: before["text"],
      createdAt: forged,
      ...patch,
      updatedAt: forged,
    }),
  });
  const madeAt = iso(app.platform.now());
  const { result: id } = await app.committer.commit(ANN, (writer) =>
    writer.insert("Note", { text: "a" }),
  );
  app.platform.advance(1_000);
  await app.committer.commit(ANN, (writer) => writer.update("Note", id, { text: "b" }));
  expect<object | null>(await app.reads().get("Note", id)).toEqual({
    id,
    text: "b",
    createdAt: madeAt,
    updatedAt: iso(app.platform.now()),
  });
});
