import { expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Schema, type Entity } from "../../schema/schema.ts";
import type { StoredRow } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { Passwords } from "./passwords.ts";

const PASSWORD = "correct horse battery";

type HashField = "required" | "optional" | "none";

/** Users whose entity has a field for the hash, or not. */
function passwordsOf(
  { store, platform }: Scratch,
  hashField: HashField,
): { readonly passwords: Passwords; readonly rows: Map<string, StoredRow> } {
  const rows = new Map<string, StoredRow>();
  const passwords = new Passwords(
    store,
    {
      entity: userEntity(hashField),
      has: (name) => hashField !== "none" && name === "passwordHash",
      change: (id, change) =>
        store.transact(async (tx) => {
          const row = rows.get(id) ?? null;
          const patch = await change(tx, row);
          if (row !== null) rows.set(id, { ...row, ...patch, id });
        }),
    },
    platform,
  );
  return { passwords, rows };
}

function userEntity(hashField: HashField): Entity {
  const email = field.string();
  const passwordHash = field.string();
  const entities = {
    required: entity("User", { email, passwordHash }),
    optional: entity("User", { email, passwordHash: passwordHash.optional() }),
    none: entity("User", { email }),
  };
  const manifest = buildManifest({
    name: "app",
    version: "1.0.0",
    entities: [entities[hashField]],
  });
  const user = Schema.fromManifest(manifest).find("User");
  if (user === undefined) throw new Error("The schema has no users.");
  return user;
}

const EMPTY = { required: { passwordHash: "" }, optional: { passwordHash: null }, none: {} };

test.each(["required", "optional", "none"] as const)(
  "a password is stored outside of the user's row, compared and forgotten (passwordHash: %p)",
  async (hashField) => {
    await using scratch = scratchStore();
    const { passwords, rows } = passwordsOf(scratch, hashField);
    const empty: StoredRow = { id: "ann", ...EMPTY[hashField] };
    rows.set("ann", empty);
    const user = (): StoredRow => rows.get("ann") ?? { id: "ann" };
    expect([await passwords.has(user()), await passwords.matches(user(), PASSWORD)]).toEqual([
      false,
      false,
    ]);
    expect(await passwords.matches(user(), "")).toBe(false);
    await passwords.keep(user(), await passwords.hash(PASSWORD));
    expect(await passwords.has(user())).toBe(true);
    expect(await passwords.matches(user(), PASSWORD)).toBe(true);
    expect(await passwords.matches(user(), `${PASSWORD}!`)).toBe(false);
    expect([await SYSTEM_TABLES.passwords.count(scratch.store), user()]).toEqual([1, empty]);
    await passwords.keep(user(), await passwords.hash("another good one"));
    expect(await passwords.matches(user(), PASSWORD)).toBe(false);
    await passwords.forget("ann");
    expect(await passwords.has(user())).toBe(false);
  },
);

test.each(["required", "optional"] as const)(
  "a hash in the user's row is accepted, and moved when it matches (passwordHash: %p)",
  async (hashField) => {
    await using scratch = scratchStore();
    const { passwords, rows } = passwordsOf(scratch, hashField);
    const empty: StoredRow = { id: "ann", ...EMPTY[hashField] };
    const user = (): StoredRow => rows.get("ann") ?? { id: "ann" };
    const old = { ...empty, passwordHash: await passwords.hash(PASSWORD) };
    rows.set("ann", old);
    expect(await passwords.has(user())).toBe(true);
    expect(await passwords.matches(user(), "a wrong one")).toBe(false);
    expect(user()).toEqual(old);
    expect(await passwords.matches(user(), PASSWORD)).toBe(true);
    expect(user()).toEqual(empty);
    expect(await passwords.matches(user(), PASSWORD)).toBe(true);
    // A hash that the admin writes there later overrides the one that was stored before.
    rows.set("ann", { ...empty, passwordHash: await passwords.hash("of the admin") });
    expect(await passwords.matches(user(), PASSWORD)).toBe(false);
    // A password that is set in the meantime remains, whatever was read a moment before.
    const before = user();
    await passwords.keep(user(), await passwords.hash("another good one"));
    expect(await passwords.matches(before, "of the admin")).toBe(true);
    expect(await passwords.matches(user(), "another good one")).toBe(true);
    await passwords.forget("ann");
    expect([await passwords.has(user()), user()]).toEqual([false, empty]);
  },
);

test("without a user no password matches, and its Unicode form does not matter", async () => {
  await using scratch = scratchStore();
  const { passwords } = passwordsOf(scratch, "none");
  expect(await passwords.matches(null, PASSWORD)).toBe(false);
  const hash = await passwords.hash("caf\u00e9 au lait");
  expect(await passwords.isSame(hash, "cafe\u0301 au lait")).toBe(true);
  expect(await passwords.isSame("not a hash", PASSWORD)).toBe(false);
});

test("a weak password is rejected: too short, too long, known, or the address itself", async () => {
  await using scratch = scratchStore();
  const { passwords } = passwordsOf(scratch, "none");
  await passwords.check(PASSWORD, "ann@example.com");
  for (const weak of [
    "short",
    "x".repeat(257),
    "password123",
    "PassWord123",
    "Longenough@Example.com",
    "longEnough",
  ])
    await expect(passwords.check(weak, "longenough@example.com")).rejects.toMatchObject({
      code: "WEAK_PASSWORD",
    });
});
