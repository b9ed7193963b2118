/// <reference types="bun" />
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { createTestApp, type TestApp } from "@pylonsync/testing";

let t: TestApp;
beforeAll(async () => {
  t = await createTestApp(join(import.meta.dir, ".."));
});
afterAll(() => t.close());
beforeEach(() => t.reset());

test("everyone who is signed in reads and edits all notes", async () => {
  const id = await t.as("ann").insert("Note", { title: "Groceries" });
  expect(await t.as("bob").canRead("Note", id)).toBe(true);
  expect(await t.as("bob").canUpdate("Note", id, { body: "milk" })).toBe(true);
  expect(await t.as(null).canRead("Note", id)).toBe(false);
});

test("only its author deletes a note", async () => {
  const id = await t.as("ann").insert("Note", { title: "Groceries" });
  expect(await t.as("bob").canDelete("Note", id)).toBe(false);
  expect(await t.as("ann").canDelete("Note", id)).toBe(true);
});

test("a user chooses a name once, and only their own", async () => {
  const id = await t.as("ann").insert("Person", { name: "Ann" });
  const again = t.as("ann").insert("Person", { name: "Bob" });
  expect(again).rejects.toMatchObject({ code: "UNIQUE_VIOLATION" });
  expect(await t.as("ann").canUpdate("Person", id, { name: "Bob" })).toBe(false);
});
