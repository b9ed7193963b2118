import { expect, test } from "bun:test";
import { Lazy } from "./lazy.ts";

test("a part is loaded once, and again after a failure; waiting work runs in order", async () => {
  let loads = 0;
  const tries: boolean[] = [];
  const lazy = new Lazy(
    () => {
      loads += 1;
      return loads === 1
        ? Promise.reject(new Error("There is no network."))
        : Promise.resolve(loads);
    },
    (isLoaded) => void tries.push(isLoaded),
  );
  const told: unknown[] = [];
  lazy.use((part) => told.push(["first", part]));
  expect(await lazy.load().catch(String)).toBe("Error: There is no network.");
  lazy.use((part) => told.push(["second", part]));
  expect([lazy.part, told]).toEqual([null, []]);
  expect(await Promise.all([lazy.load(), lazy.load()])).toEqual([2, 2]);
  lazy.use((part) => told.push(["third", part]));
  expect([lazy.part, loads, tries]).toEqual([2, 2, [false, true]]);
  expect(told).toEqual([
    ["first", 2],
    ["second", 2],
    ["third", 2],
  ]);
});

test("work that fails affects neither the part nor other waiting work", async () => {
  const warnings: string[] = [];
  const lazy = new Lazy(
    () => Promise.resolve("part"),
    undefined,
    (message) => void warnings.push(message),
  );
  const told: string[] = [];
  lazy.use(() => {
    throw new Error("no");
  });
  lazy.use((part) => told.push(part));
  expect([await lazy.load(), await lazy.load(), told]).toEqual(["part", "part", ["part"]]);
  expect(warnings).toEqual(["Error: no"]);
});
