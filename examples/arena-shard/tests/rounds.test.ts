/// <reference types="bun" />
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { createTestApp, type TestApp } from "@pylonsync/testing";

let t: TestApp;

beforeAll(async () => {
  t = await createTestApp(join(import.meta.dir, ".."));
});
afterAll(() => t.close());

beforeEach(async () => {
  await t.reset();
  await t.run("enter", { name: "  Ann  " }, { as: "ann" });
  await t.run("enter", { name: "Bob" }, { as: "bob" });
});

/** Ends a round, as the shard does. @param gems the gems of Ann and Bob */
function endRound(seed: number, gems: readonly [number, number]): Promise<unknown> {
  return t.run("recordRound", {
    shardId: "arena:main",
    tick: seed * 1000,
    mode: "classic",
    seed,
    scores: ["ann", "bob"].map((userId, index) => ({ userId, gems: gems[index] ?? 0 })),
  });
}

test("the leaderboard has the best round of each pilot", async () => {
  await endRound(1, [3, 9]);
  await endRound(2, [5, 4]);
  const scores = await t.as("ann").query("Score", { $order: { gems: "desc" } });
  expect(scores.map(({ name, gems }) => [name, gems])).toEqual([
    ["Bob", 9],
    ["Ann", 5],
  ]);
  const rounds = await t.db.query("Round", { $order: { gems: "asc" } });
  expect(rounds.map(({ winner, gems, pilots }) => [winner, gems, pilots])).toEqual([
    ["Ann", 5, 2],
    ["Bob", 9, 2],
  ]);
});

test("a round is stored once, however often its job runs", async () => {
  await endRound(1, [3, 9]);
  await endRound(1, [3, 9]);
  expect(await t.db.count("Round")).toBe(1);
});

test("the newest 50 rounds are listed, each with the step that ended its recording", async () => {
  for (let seed = 1; seed <= 52; seed += 1) {
    await endRound(seed, [seed, 0]);
    await t.advance("1m");
  }
  expect(await t.db.count("Round")).toBe(50);
  const [newest] = await t.db.query("Round", { $order: { endedAt: "desc" }, $limit: 1 });
  expect(newest).toMatchObject({ shardId: "arena:main", tick: 52_000, winner: "Ann", gems: 52 });
});

test("a pilot has one name, and may change it", async () => {
  await t.run("enter", { name: "Anne" }, { as: "ann" });
  const names = await t.db.query("Pilot", { userId: "ann" });
  expect(names.map(({ name }) => name)).toEqual(["Anne"]);
  await expect(t.run("enter", { name: " " }, { as: "ann" })).rejects.toMatchObject({
    code: "INVALID_DATA",
  });
  await expect(t.run("enter", { name: "X" })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("players read everything, and cannot write", async () => {
  await endRound(1, [3, 9]);
  const row = { userId: "ann", mode: "classic", name: "Ann", gems: 999, roundId: "r" };
  expect(await t.as("ann").canInsert("Score", row)).toBe(false);
  const [score] = await t.as("ann").query("Score", { userId: "ann" });
  expect(await t.as("ann").canUpdate("Score", String(score?.id), { gems: 999 })).toBe(false);
  expect(await t.as("bob").canRead("Score", String(score?.id))).toBe(true);
  expect(await t.as(null).canRead("Score", String(score?.id))).toBe(false);
});
