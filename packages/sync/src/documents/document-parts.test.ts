import { describe, expect, test } from "bun:test";
import { useFakeIndexedDb } from "../../../../tests/support/fake-indexed-db.ts";
import type { Disk } from "../persistence/disk.ts";
import { openIndexedDb } from "../persistence/indexed-db.ts";
import { openTextDisk, type TextStore } from "../persistence/text-disk.ts";
import { ANONYMOUS_SESSION, type ResolvedSession } from "../session/session.ts";
import { DocumentParts, type DocumentPart } from "./document-parts.ts";

useFakeIndexedDb();

function memory(): TextStore {
  const texts = new Map<string, string>();
  return {
    keys: async (prefix) => [...texts.keys()].filter((key) => key.startsWith(prefix)),
    read: async (keys) => keys.map((key) => texts.get(key) ?? null),
    write: async (written) => {
      for (const [key, text] of written) texts.set(key, text);
    },
    remove: async (keys) => {
      for (const key of keys) texts.delete(key);
    },
  };
}

let names = 0;
const DISKS: readonly (readonly [string, () => () => Promise<Disk>])[] = [
  [
    "IndexedDB",
    () => {
      const name = `parts-${(names += 1)}`;
      return () => openIndexedDb(name, "http://server");
    },
  ],
  [
    "a store of texts",
    () => {
      const store = memory();
      return () => openTextDisk(store, "app", "http://server");
    },
  ],
];

/** A session that is not known yet, or that of a user. */
class FakeSession {
  userId: string | null | undefined;
  proof: string | null = "token:1";
  resolved: ResolvedSession = ANONYMOUS_SESSION;

  constructor(userId: string | null | undefined) {
    this.userId = userId;
  }
}

interface Tab {
  readonly session: FakeSession;
  readonly parts: DocumentParts;
  /** Waits until everything is on disk. */
  readonly saved: () => Promise<void>;
}

async function tabOn(disk: Disk | null, userId?: string | null, tabId = "t1"): Promise<Tab> {
  const session = new FakeSession(userId);
  let turn = Promise.resolve();
  const use = (work: (opened: Disk) => Promise<void>): Promise<boolean> => {
    const done = turn.then(async () => {
      if (disk !== null) await work(disk);
      return disk !== null;
    });
    turn = done.then(() => undefined);
    return done;
  };
  const persistence = { load: async () => ({ use }) };
  const newId = (): string => `part-${(names += 1)}`;
  const listeners = { onChange: () => undefined, onSaved: () => undefined };
  const options = { session, newId, tabId, persistence: () => persistence };
  const parts = new DocumentParts({ ...options, ...listeners });
  await parts.load();
  return { session, parts, saved: () => parts.load() };
}

const part = (text: string, kind: DocumentPart["kind"] = "changes"): DocumentPart => ({
  entity: "Note",
  rowId: "n1",
  kind,
  bytes: new TextEncoder().encode(text),
});
const textsIn = ({ parts }: Tab): string[] =>
  parts
    .all()
    .map(({ bytes }) => new TextDecoder().decode(bytes))
    .toSorted();

describe.each(DISKS)("on %s", (_, make) => {
  test("parts are kept for a later visit, and replaced and removed by their ids", async () => {
    const open = make();
    const first = await tabOn(await open(), "ann");
    const one = first.parts.put(part("one"));
    const two = first.parts.put(part("two"), [one]);
    first.parts.put(part("\u0000\u00ff☃"));
    await first.saved();
    const later = await tabOn(await open(), "ann");
    expect(textsIn(later)).toEqual(["\u0000\u00ff☃", "two"].toSorted());
    later.parts.remove([two]);
    await later.saved();
    expect(textsIn(await tabOn(await open(), "ann"))).toEqual(["\u0000\u00ff☃"]);
  });

  test("a tab sees what others add and remove, and removes nothing newer", async () => {
    const disk = await make()();
    const [one, two] = [await tabOn(disk, "ann", "t1"), await tabOn(disk, "ann", "t2")];
    const id = one.parts.put(part("a"));
    await one.saved();
    await two.parts.load();
    expect(textsIn(two)).toEqual(["a"]);
    // The first tab writes on, while the second sends what it has found.
    one.parts.put(part("ab"), [id]);
    two.parts.remove([id]);
    await Promise.all([one.saved(), two.saved()]);
    await two.parts.load();
    expect(textsIn(two)).toEqual(["ab"]);
    two.parts.remove(two.parts.all().map((found) => found.id));
    await two.saved();
    await one.parts.load();
    expect(textsIn(one)).toEqual([]);
  });

  test("a user sees their own parts only, and those of others are deleted", async () => {
    const open = make();
    const ann = await tabOn(await open(), "ann");
    ann.parts.put(part("ann's"));
    await ann.saved();
    const nobody = await tabOn(await open(), null);
    nobody.parts.takeOver();
    nobody.parts.put(part("of nobody"));
    await nobody.saved();
    expect(textsIn(nobody)).toEqual(["of nobody"]);
    expect(textsIn(await tabOn(await open(), "ann"))).toEqual(["ann's"]);
    const bob = await tabOn(await open(), "bob");
    expect(textsIn(bob)).toEqual([]);
    bob.parts.takeOver();
    await bob.saved();
    expect(textsIn(await tabOn(await open(), "ann"))).toEqual([]);
  });

  test("what was written before the user is known belongs to the holder of the token", async () => {
    const open = make();
    const unknown = await tabOn(await open());
    unknown.parts.put(part("early"));
    await unknown.saved();
    const other = await tabOn(await open(), "bob");
    other.session.proof = "token:2";
    expect(textsIn(other)).toEqual([]);
    const known = await tabOn(await open(), "ann");
    known.parts.takeOver();
    await known.saved();
    expect(textsIn(await tabOn(await open(), "ann"))).toEqual(["early"]);
  });

  test("the parts of a closed tab are claimed once", async () => {
    const disk = await make()();
    const gone = await tabOn(disk, "ann", "gone");
    gone.parts.put(part("draft", "draft"));
    await gone.saved();
    const one = await tabOn(disk, "ann", "one");
    await one.parts.claim("gone");
    const two = await tabOn(disk, "ann", "two");
    await two.parts.claim("gone");
    expect(two.parts.all().map(({ tab }) => tab)).toEqual(["one"]);
  });

  test("signing out deletes everything, also in tabs that have read it", async () => {
    const disk = await make()();
    const [one, two] = [await tabOn(disk, "ann", "t1"), await tabOn(disk, "ann", "t2")];
    one.parts.put(part("secret"));
    await one.saved();
    await two.parts.load();
    one.parts.clear();
    await disk.clear();
    await two.parts.load();
    expect([textsIn(one), textsIn(two)]).toEqual([[], []]);
    expect(textsIn(await tabOn(disk, "ann"))).toEqual([]);
  });
});

test("without a disk, parts last as long as the page", async () => {
  const tab = await tabOn(null, "ann");
  const id = tab.parts.put(part("one"));
  tab.parts.put(part("two"), [id]);
  await tab.saved();
  expect(textsIn(tab)).toEqual(["two"]);
});
