import { expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { Schema, type Entity } from "../../schema/schema.ts";
import type { StoredRow, Value } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { Passwords } from "./passwords.ts";

const PASSWORD = "correct horse battery";

/** Users whose entity has a field for the hash, or has none. */
function passwordsOf(
  { store, platform }: Scratch,
  hasField: boolean,
): { readonly passwords: Passwords; readonly rows: Map<string, StoredRow> } {
  const rows = new Map<string, StoredRow>();
  const passwords = new Passwords(
    store,
    {
      entity: userEntity(hasField),
      has: (name) => hasField && name === "passwordHash",
      get: (id) => Promise.resolve(rows.get(id) ?? null),
      update: async (id, patch: Readonly<Record<string, Value>>) => {
        rows.set(id, { ...rows.get(id), ...patch, id });
      },
    },
    platform,
  );
  return { passwords, rows };
}

function userEntity(hasField: boolean): Entity {
  const email = field.string();
  const entities = [
    hasField
      ? entity("User", { email, passwordHash: field.string().optional() })
      : entity("User", { email }),
  ];
  const manifest = buildManifest({
    name: "app",
    version: "1.0.0",
    entities,
  });
  const user = Schema.fromManifest(manifest).find("User");
  if (user === undefined) throw new Error("The schema has no users.");
  return user;
}

test.each([true, false])(
  "a password is kept, compared and forgotten, in the user's row or beside it (%p)",
  async (hasField) => {
    await using scratch = scratchStore();
    const { passwords, rows } = passwordsOf(scratch, hasField);
    const user = (): StoredRow => rows.get("ann") ?? { id: "ann" };
    expect([await passwords.has(user()), await passwords.matches(user(), PASSWORD)]).toEqual([
      false,
      false,
    ]);
    await passwords.keep(user(), await passwords.hash(PASSWORD));
    expect(await passwords.has(user())).toBe(true);
    expect(await passwords.matches(user(), PASSWORD)).toBe(true);
    expect(await passwords.matches(user(), `${PASSWORD}!`)).toBe(false);
    expect(await SYSTEM_TABLES.passwords.count(scratch.store)).toBe(hasField ? 0 : 1);
    await passwords.keep(user(), await passwords.hash("another good one"));
    expect(await passwords.matches(user(), PASSWORD)).toBe(false);
    await passwords.forget("ann");
    expect(await passwords.has(user())).toBe(false);
  },
);

test("nobody has a password without a user, and its Unicode form does not matter", async () => {
  await using scratch = scratchStore();
  const { passwords } = passwordsOf(scratch, false);
  expect(await passwords.matches(null, PASSWORD)).toBe(false);
  const hash = await passwords.hash("caf\u00e9 au lait");
  expect(await passwords.isSame(hash, "cafe\u0301 au lait")).toBe(true);
  expect(await passwords.isSame("not a hash", PASSWORD)).toBe(false);
});

test("a weak password is refused: too short, too long, known, or the address itself", async () => {
  await using scratch = scratchStore();
  const { passwords } = passwordsOf(scratch, false);
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
