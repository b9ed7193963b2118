import { expect, test } from "bun:test";
import { scratchStore } from "../store/testing/scratch-store.ts";
import type { FileRecord } from "../data/file-record.ts";
import { FileRegistry, type NewFile } from "./file-registry.ts";

const DAY_MS = 24 * 60 * 60_000;
const NEW: NewFile = {
  ownerId: "ann",
  name: "a.txt",
  contentType: "text/plain",
  size: 5,
  checksum: null,
  boundEntity: null,
  boundField: null,
  uploadKey: "key",
};
const FOR_FIELD: NewFile = { ...NEW, boundEntity: "Post", boundField: "image" };

test("a file is pending until it has its content, and can be read from then on", async () => {
  await using scratch = scratchStore();
  const registry = new FileRegistry(scratch.store, scratch.platform);
  const file = await registry.announce(NEW);
  expect(file).toMatchObject({ state: "pending", createdAt: scratch.platform.now() });
  expect(await registry.update(file.id, { size: 6 })).toBe(true);
  const done = await registry.finish(file, { size: 6, checksum: "c" }, true);
  expect(done).toMatchObject({ state: "ready", size: 6, uploadKey: null, orphanedAt: null });
  expect(await registry.get(file.id)).toEqual(done);
  expect(await registry.finish(file, { size: 6, checksum: "c" }, true)).toBeNull();
  expect(await registry.update(file.id, { size: 7 })).toBe(false);
});

test("only one of the requests with the key of an upload writes to it", async () => {
  await using scratch = scratchStore();
  const registry = new FileRegistry(scratch.store, scratch.platform);
  const { id } = await registry.announce(NEW);
  expect(await registry.takeUploadKey(id, "another")).toBeNull();
  const taken = await Promise.all(
    Array.from({ length: 4 }, () => registry.takeUploadKey(id, "key")),
  );
  expect(taken.filter((file) => file !== null)).toHaveLength(1);
});

test("old uploads and orphans are unneeded, and deleted files are so immediately", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const registry = new FileRegistry(store, platform);
  const content = { size: 5, checksum: null };
  const pending = await registry.announce(NEW);
  const kept = await registry.announce(NEW);
  const orphan = await registry.announce(FOR_FIELD);
  const deleted = await registry.announce(NEW);
  await registry.finish(kept, content, true);
  await registry.finish(orphan, content, true);
  expect(await registry.markForDeletion(deleted.id, () => false)).toBe(false);
  expect(await registry.markForDeletion(deleted.id, ({ name }) => name === "a.txt")).toBe(true);
  const unneeded = async (): Promise<string[]> =>
    (await registry.unneeded(platform.now() - DAY_MS)).map(({ id }) => id).toSorted();
  advance(DAY_MS);
  expect(await unneeded()).toEqual([deleted.id]);
  advance(1);
  expect(await unneeded()).toEqual([pending.id, orphan.id, deleted.id].toSorted());
  await registry.forget(deleted.id);
  expect(await registry.get(deleted.id)).toBeNull();
});

test("counts a user's files that are in no row", async () => {
  await using scratch = scratchStore();
  const registry = new FileRegistry(scratch.store, scratch.platform);
  expect(await registry.loose("ann")).toEqual({ count: 0, bytes: 0 });
  await registry.announce(NEW);
  await registry.announce({ ...NEW, size: 7 });
  await registry.announce({ ...NEW, ownerId: "ben" });
  expect(await registry.loose("ann")).toEqual({ count: 2, bytes: 12 });
});

test("a user has a maximum number of files that have not been uploaded", async () => {
  await using scratch = scratchStore();
  const registry = new FileRegistry(scratch.store, scratch.platform);
  const announce = (ownerId: string): Promise<FileRecord> =>
    registry.announceSigned({ ...NEW, ownerId }, 2);
  const made = await Promise.allSettled(["ann", "ann", "ann", "ann"].map(announce));
  const stored = made.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  expect(stored).toHaveLength(2);
  expect(made.filter(({ status }) => status === "rejected")).toMatchObject([
    { reason: { code: "FILE_QUOTA_REACHED" } },
    { reason: { code: "FILE_QUOTA_REACHED" } },
  ]);
  expect(await announce("ben")).toMatchObject({ ownerId: "ben" });
  await registry.forget(stored[0]?.id ?? "");
  expect(await announce("ann")).toMatchObject({ ownerId: "ann" });
});
