import { expect, test } from "bun:test";
import fc from "fast-check";
import { useFakeIndexedDb } from "../../../../tests/support/fake-indexed-db.ts";
import type { Disk, KeptRow, KeptWrite, ReplicaHead } from "./disk.ts";
import { openIndexedDb } from "./indexed-db.ts";
import { openTextDisk, type TextStore } from "./text-disk.ts";

useFakeIndexedDb();

/** Texts in memory; writes fail from the given one on. */
class MemoryTexts implements TextStore {
  readonly texts = new Map<string, string>();
  writesLeft = Infinity;

  async keys(prefix: string): Promise<string[]> {
    return [...this.texts.keys()].filter((key) => key.startsWith(prefix));
  }
  async read(keys: readonly string[]): Promise<(string | null)[]> {
    return keys.map((key) => this.texts.get(key) ?? null);
  }
  async write(texts: readonly (readonly [string, string])[]): Promise<void> {
    for (const [key, text] of texts) {
      this.#spend();
      this.texts.set(key, text);
    }
  }
  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      this.#spend();
      this.texts.delete(key);
    }
  }
  #spend(): void {
    this.writesLeft -= 1;
    if (this.writesLeft < 0) throw new Error("The storage is full.");
  }
}

const SESSION = { userId: "ann", tenantId: null, isAdmin: false, isGuest: false, roles: [] };
const rowIn = (n: number, text: string | null): KeptRow => ({
  entity: n % 2 === 0 ? "Item" : "List",
  id: `${n}`,
  row: text === null ? null : { id: `${n}`, text },
});
const heads = fc.record({
  session: fc.constantFrom(SESSION, { ...SESSION, userId: "bob" }),
  epoch: fc.constantFrom("e", "f"),
  seq: fc.nat(9),
});
const changed = fc.array(
  fc.tuple(fc.nat(40), fc.option(fc.string())).map(([n, text]) => rowIn(n, text)),
  { maxLength: 12 },
);
const present = fc
  .uniqueArray(fc.nat(40), { maxLength: 20 })
  .map((ids) => ids.map((n) => rowIn(n, "new")));
const ids = fc.array(fc.constantFrom("1", "2", "3", "4", "5"), { maxLength: 3 });
const owners = fc.constantFrom("user:ann", "user:bob", "proof:x");
const writes = fc.tuple(ids, owners).map(([list, owner]) =>
  [...new Set(list)].map((id): KeptWrite => ({
    id,
    owner,
    change: { op_id: id, entity: "Item", row_id: id, kind: "delete" },
  })),
);

type Step = (disk: Disk) => Promise<unknown>;
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(heads, present).map(
    ([head, rows]): Step =>
      (disk) =>
        disk.replaceReplica(head, rows, "w"),
  ),
  fc.tuple(heads, fc.nat(9), changed).map(
    ([head, from, rows]): Step =>
      (disk) =>
        disk.patchReplica(head, from, rows),
  ),
  fc.constant<Step>((disk) => disk.dropReplica()),
  fc.constant<Step>((disk) => disk.writeSession({ witness: "w", session: SESSION })),
  writes.map(
    (list): Step =>
      (disk) =>
        disk.addWrites(list),
  ),
  ids.map(
    (list): Step =>
      (disk) =>
        disk.removeWrites(list),
  ),
  ids.map((list): Step => async (disk) => [...(await disk.keptWrites(list))]),
  fc.tuple(owners, fc.option(owners), fc.boolean()).map(
    ([owner, proof, isAlone]): Step =>
      (disk) =>
        disk.takeOver(owner, proof, isAlone),
  ),
);

const byId = (one: KeptRow, other: KeptRow): number => Number(one.id) - Number(other.id);
async function contentOf(disk: Disk): Promise<unknown> {
  const replica = await disk.readReplica();
  return {
    session: await disk.readSession(),
    head: replica?.head,
    rows: replica?.rows.toSorted(byId),
    ann: await disk.readWrites("user:ann"),
    bob: await disk.readWrites("user:bob"),
    proof: await disk.readWrites("proof:x"),
  };
}

test("texts store what IndexedDB stores, whatever is done", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      run += 1;
      const oracle = await openIndexedDb(`texts-${run}`, "http://server");
      const disk = await openTextDisk(new MemoryTexts(), `texts-${run}`, "http://server");
      try {
        for (const take of steps) {
          expect(await take(disk)).toEqual(await take(oracle));
          expect(await contentOf(disk)).toEqual(await contentOf(oracle));
        }
      } finally {
        await oracle.clear();
        oracle.close();
      }
    }),
    { numRuns: 60 },
  );
});

test("a patch that is interrupted anywhere leaves the old rows or all new ones", async () => {
  const head = (seq: number): ReplicaHead => ({ session: SESSION, epoch: "e", seq });
  const rows = Array.from({ length: 1_700 }, (_, n) => rowIn(n, "old"));
  const patch = [...rows.slice(0, 30).map(({ id }) => rowIn(Number(id), "new")), rowIn(31, null)];
  const outcomes = new Set<string>();
  for (let writesLeft = 0; writesLeft < 20; writesLeft += 1) {
    const store = new MemoryTexts();
    const disk = await openTextDisk(store, "app", "http://server");
    await disk.replaceReplica(head(1), rows, "w");
    store.writesLeft = writesLeft;
    await disk.patchReplica(head(2), 1, patch).catch(() => undefined);
    store.writesLeft = Infinity;
    // The same texts after a crash, as another process sees them.
    const later = new MemoryTexts();
    for (const [key, text] of store.texts) later.texts.set(key, text);
    const found = await (await openTextDisk(later, "app", "http://server")).readReplica();
    const count = found?.rows.filter(({ row }) => row?.["text"] === "new").length;
    outcomes.add(`${found?.head.seq}: ${count} of ${found?.rows.length}`);
    const chunks = await later.keys("pylon-disk:app:http://server:chunk:");
    expect(chunks.length).toBe(4);
  }
  expect([...outcomes]).toEqual(["1: 0 of 1700", "2: 30 of 1699"]);
});

test("whichever text is damaged, the disk opens, keeps other writes and continues", async () => {
  const head = (seq: number): ReplicaHead => ({ session: SESSION, epoch: "e", seq });
  const write = (id: string): KeptWrite => ({
    id,
    owner: "user:ann",
    change: { op_id: id, entity: "Item", row_id: id, kind: "delete" },
  });
  const store = new MemoryTexts();
  const open = (texts: TextStore): Promise<Disk> => openTextDisk(texts, "app", "http://server");
  const disk = await open(store);
  const rows = Array.from({ length: 700 }, (_, n) => rowIn(n, "old"));
  await disk.writeSession({ witness: "token:x", session: SESSION });
  await disk.replaceReplica(head(1), rows, "w");
  await disk.addWrites([write("1"), write("2")]);
  for (const damage of ["", '{"chu', "[1]"])
    for (const name of store.texts.keys()) {
      // A text that was changed to another valid one can't be detected.
      if (damage === "[1]" && !name.endsWith(":head")) continue;
      const later = new MemoryTexts();
      for (const [key, text] of store.texts) later.texts.set(key, key === name ? damage : text);
      const found = await open(later);
      await found.readSession();
      expect((await found.readReplica())?.rows.length ?? 700).toBe(700);
      await found.addWrites([write("3")]);
      const ids = (await found.readWrites("user:ann")).map(({ id }) => id).join();
      const [, lost = ""] = /write:0+(\d)$/.exec(name) ?? [];
      expect(ids).toBe(["1", "2", "3"].filter((id) => id !== lost).join());
      await found.replaceReplica(head(2), rows, "w");
      expect((await found.readReplica())?.head.seq).toBe(2);
      await found.clear();
      expect(later.texts.size).toBe(0);
    }
});

test("a replica that grows is rewritten completely, and deleted rows leave nothing", async () => {
  const store = new MemoryTexts();
  const disk = await openTextDisk(store, "app", "http://server");
  const head = (seq: number): ReplicaHead => ({ session: SESSION, epoch: "e", seq });
  await disk.replaceReplica(head(1), [], "w");
  expect(await disk.patchReplica(head(2), 1, [rowIn(7, "secret")])).toBe(true);
  const many = Array.from({ length: 1_200 }, (_, n) => rowIn(n + 10, "more"));
  expect(await disk.patchReplica(head(3), 2, many)).toBe(false);
  expect(await disk.patchReplica(head(3), 2, [rowIn(7, null)])).toBe(true);
  expect([...store.texts.values()].join()).not.toContain("secret");
  await disk.clear();
  expect(store.texts.size).toBe(0);
});
