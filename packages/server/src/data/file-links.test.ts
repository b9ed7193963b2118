import { PylonError } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { prepareFileLinks, type RowChange } from "./file-links.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const FILES = SYSTEM_TABLES.files;
const NOW = 5_000;
const manifest = buildManifest({
  name: "files",
  version: "1.0.0",
  entities: [
    entity("Doc", {
      cover: field.file({ accept: ["image/*"], maxBytes: 100 }).optional(),
      paper: field.file().optional(),
    }),
  ],
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const idOf = (digit: string): string => digit.repeat(40);
interface FileFacts {
  readonly ownerId: string;
  readonly contentType: string;
  readonly size: number;
  readonly state: "pending" | "ready";
}
const png = { ownerId: "ann", contentType: "image/png", size: 1, state: "ready" } as const;
const FACTS: Readonly<Record<string, FileFacts>> = {
  [idOf("1")]: png,
  [idOf("2")]: png,
  [idOf("3")]: { ...png, contentType: "text/plain" },
  [idOf("4")]: { ...png, size: 101 },
  [idOf("5")]: { ...png, state: "pending" },
  [idOf("6")]: { ...png, ownerId: "bob" },
};
const UNKNOWN = idOf("9");

async function writeFiles(): Promise<void> {
  await app.store.transact(async (tx) => {
    for (const [id, facts] of Object.entries(FACTS)) {
      await FILES.delete(tx, id);
      await FILES.insert(tx, {
        id,
        name: "a",
        checksum: null,
        boundEntity: null,
        boundField: null,
        linkedRow: null,
        uploadKey: null,
        multipartId: null,
        uploadOffset: null,
        uploadParts: null,
        uploadClaim: null,
        createdAt: 0,
        orphanedAt: null,
        ...facts,
      });
    }
  });
}

/** Links files as a write by ann does. @returns the message of the rejection, or null */
async function change(rows: RowChange, trusted = false): Promise<string | null> {
  try {
    await app.store.transact(async (tx) => {
      const options = { caller: user("ann"), trusted, now: NOW };
      const apply = await prepareFileLinks(tx, app.model.entity("Doc"), rows, options);
      await apply();
    });
    return null;
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    return `${error.code} ${error.field}`;
  }
}

const value = fc.constantFrom(null, UNKNOWN, "not an id", ...Object.keys(FACTS));
const step = fc.record({
  id: fc.constantFrom("r1", "r2"),
  after: fc.option(fc.record({ cover: value, paper: value })),
});

/** The row and field to which each file is linked, by a simple implementation of the rules. */
class Model {
  readonly rows = new Map<string, StoredRow>();
  readonly links = new Map<string, string>();
  readonly orphans = new Set<string>();

  apply(id: string, after: StoredRow | null): string | null {
    const before = this.rows.get(id) ?? null;
    const own = [before?.["cover"], before?.["paper"]];
    for (const name of ["cover", "paper"]) {
      const file = after?.[name] ?? null;
      if (file === null || file === before?.[name]) continue;
      if (!this.#mayTake(name, String(file), own, before, after)) return `INVALID_DATA ${name}`;
    }
    for (const name of ["cover", "paper"]) this.#free(before?.[name]);
    for (const name of ["cover", "paper"]) this.#take(`Doc.${name} of ${id}`, after?.[name]);
    if (after === null) this.rows.delete(id);
    else this.rows.set(id, after);
    return null;
  }

  #mayTake(
    name: string,
    file: string,
    own: readonly unknown[],
    before: StoredRow | null,
    after: StoredRow | null,
  ): boolean {
    const facts = FACTS[file];
    if (facts === undefined || facts.ownerId !== "ann" || facts.state !== "ready") return false;
    if (name === "cover" && (!facts.contentType.startsWith("image/") || facts.size > 100))
      return false;
    // A file that stays in the other field is not free, and a file added to both fields is in two.
    const other = name === "cover" ? "paper" : "cover";
    if (after?.[other] === file && (name === "paper" || before?.[other] === file)) return false;
    return !this.links.has(file) || own.includes(file);
  }

  #free(file: unknown): void {
    if (typeof file !== "string") return;
    this.links.delete(file);
    this.orphans.add(file);
  }

  #take(place: string, file: unknown): void {
    if (typeof file !== "string") return;
    this.links.set(file, place);
    this.orphans.delete(file);
  }
}

test("a file is in one field of one row, or released, after any write", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await writeFiles();
      const model = new Model();
      for (const { id, after } of steps) {
        const before = model.rows.get(id) ?? null;
        const row = after === null ? null : { id, ...after };
        const expected = model.apply(id, row);
        expect(await change({ before, after: row })).toBe(expected);
      }
      const found = await Promise.all(Object.keys(FACTS).map((id) => FILES.get(app.store, id)));
      for (const file of found) {
        const place =
          file?.linkedRow === null || file === null
            ? undefined
            : `${file.boundEntity}.${file.boundField} of ${file.linkedRow}`;
        const id = file?.id ?? "";
        expect([id, place]).toEqual([id, model.links.get(id)]);
        expect([id, file?.orphanedAt ?? null]).toEqual([id, model.orphans.has(id) ? NOW : null]);
      }
    }),
    { numRuns: 60 },
  );
});

test("a trusted write links another user's file, but no file that does not exist", async () => {
  await writeFiles();
  const row = (file: string): RowChange => ({ before: null, after: { id: "r", paper: file } });
  expect(await change(row(idOf("6")))).toBe("INVALID_DATA paper");
  expect(await change(row(UNKNOWN), true)).toBe("INVALID_DATA paper");
  expect(await change(row(idOf("6")), true)).toBeNull();
});
