import { expect, test } from "bun:test";
import { Lazy } from "./lazy.ts";
import { LOAD_MS } from "./load-code.ts";
import { systemPlatform } from "./platform.ts";

test("a part is loaded once, and again after a failure; waiting work runs in order", async () => {
  let loads = 0;
  const tries: boolean[] = [];
  const lazy = new Lazy(
    systemPlatform,
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
  const platform = { ...systemPlatform, warn: (text: string) => void warnings.push(text) };
  const lazy = new Lazy(platform, () => Promise.resolve("part"));
  const told: string[] = [];
  lazy.use(() => {
    throw new Error("no");
  });
  lazy.use((part) => told.push(part));
  expect([await lazy.load(), await lazy.load(), told]).toEqual(["part", "part", ["part"]]);
  expect(warnings).toEqual(["Error: no"]);
});

test("code that hangs fails in time, is not loaded twice, and may arrive later", async () => {
  const timers: (() => void)[] = [];
  const after = (ms: number, run: () => void): (() => void) => {
    expect(ms).toBe(LOAD_MS);
    timers.push(run);
    return () => void timers.splice(timers.indexOf(run), 1);
  };
  let loads = 0;
  const arrival = Promise.withResolvers<string>();
  const lazy = new Lazy({ ...systemPlatform, after }, () => {
    loads += 1;
    return arrival.promise;
  });
  const told: string[] = [];
  lazy.use((part) => told.push(part));
  const late = lazy.load().catch(String);
  timers.at(0)?.();
  expect(await late).toBe("Error: The code has not arrived.");
  const again = lazy.load();
  arrival.resolve("part");
  expect([await again, lazy.part, told, loads]).toEqual(["part", "part", ["part"], 1]);
  expect([await lazy.load(), timers]).toEqual(["part", []]);
});
