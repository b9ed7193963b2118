/// <reference types="bun" />
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { createTestApp, type TestApp } from "@pylonsync/testing";

let t: TestApp;
let channelId = "";

beforeAll(async () => {
  t = await createTestApp(join(import.meta.dir, ".."));
});
afterAll(() => t.close());

beforeEach(async () => {
  await t.reset();
  for (const userId of ["ann", "bob"])
    await t.db.insert("Person", { userId, name: userId.toUpperCase() });
  channelId = await t.db.insert("Channel", { name: "general" });
  await t.db.insert("Member", { channelId, userId: "ann", name: "ANN" });
});

test("only members read and write the messages of a channel", async () => {
  const message = { channelId, authorName: "ANN", text: "hello" };
  const id = await t.as("ann").insert("Message", message);
  expect(await t.as("ann").canRead("Message", id)).toBe(true);
  expect(await t.as("bob").canRead("Message", id)).toBe(false);
  expect(await t.as(null).canRead("Message", id)).toBe(false);
  expect(await t.as("bob").canInsert("Message", { ...message, authorName: "BOB" })).toBe(false);
});

test("a user cannot write in another user's name, or change a sent message", async () => {
  const message = { channelId, authorName: "ANN", text: "hello" };
  const ann = t.as("ann");
  expect(await ann.canInsert("Message", { ...message, authorName: "BOB" })).toBe(false);
  const id = await ann.insert("Message", message);
  expect(await ann.canUpdate("Message", id, { text: "goodbye" })).toBe(false);
  expect(await ann.canDelete("Message", id)).toBe(false);
  expect(await t.db.get("Message", id)).toMatchObject({ authorId: "ann", text: "hello" });
});

test("a message needs a text or a file", async () => {
  const message = { channelId, authorName: "ANN", text: "" };
  expect(await t.as("ann").canInsert("Message", message)).toBe(false);
});

test("only a function adds members", async () => {
  const member = { channelId, name: "BOB" };
  expect(await t.as("bob").canInsert("Member", member)).toBe(false);
  await t.run("joinChannel", { channelId }, { as: "bob" });
  expect(await t.db.query("Member", { channelId, userId: "bob" })).toHaveLength(1);
});
