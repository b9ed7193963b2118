import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { Health, type Part, type PartState } from "./health.ts";

function part(name: string, isNeeded: boolean, check: Part["check"], told: unknown[] = []): Part {
  return { name, isNeeded, check, onChange: (state, reason) => told.push([state, reason]) };
}

test("a needed part decides between ready and unready, the others only degrade", async () => {
  for (const [database, files, status] of [
    ["up", "up", "ready"],
    ["up", "full", "degraded"],
    ["down", "up", "unready"],
    ["lost", "full", "unready"],
  ] as const) {
    const health = new Health(
      [part("database", true, () => database), part("files", false, async () => files)],
      new ManualPlatform(0),
    );
    expect(await health.report()).toEqual({ status, parts: { server: "up", database, files } });
  }
});

test("parts are checked once a second, however often the report is requested", async () => {
  const platform = new ManualPlatform(0);
  let asked = 0;
  const health = new Health(
    [
      part("database", true, () => {
        asked += 1;
        return "up";
      }),
    ],
    platform,
  );
  await Promise.all([health.report(), health.report()]);
  await health.report();
  expect(asked).toBe(1);
  platform.advance(1_000);
  await health.report();
  expect(asked).toBe(2);
});

test("a part that fails or is too slow is down; a change is reported once", async () => {
  const platform = new ManualPlatform(0);
  const told: [PartState, unknown][] = [];
  let check: () => Promise<PartState> = () => Promise.reject(new Error("broken"));
  const health = new Health([part("files", false, () => check(), told)], platform);
  const states: unknown[] = [];
  const look = async (waitMs: number): Promise<void> => {
    const report = health.report();
    platform.advance(waitMs);
    states.push((await report).parts["files"]);
    platform.advance(1_000);
  };
  await look(0);
  await look(0);
  check = () => new Promise(() => undefined);
  await look(2_000);
  check = () => Promise.resolve("up");
  await look(0);
  expect(states).toEqual(["down", "down", "down", "up"]);
  expect(told).toEqual([
    ["down", new Error("broken")],
    ["up", undefined],
  ]);
});

test("a stopping server checks none of its parts", async () => {
  const health = new Health(
    [part("database", true, () => Promise.reject(new Error("asked")))],
    new ManualPlatform(0),
  );
  health.stop();
  expect(await health.report()).toEqual({ status: "unready", parts: { server: "stopping" } });
});
