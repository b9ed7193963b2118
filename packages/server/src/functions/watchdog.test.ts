import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// The watchdog replaces the process that it watches, so each test gives it one.

const dir = mkdtempSync(join(tmpdir(), "pylon-watchdog-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A program that the watchdog watches, which ends by itself once it was started a second time. */
function program(watched: string): string {
  return `
import { existsSync, writeFileSync } from "node:fs";
import { systemPlatform } from ${JSON.stringify(join(import.meta.dir, "..", "platform.ts"))};
import { Watchdog } from ${JSON.stringify(join(import.meta.dir, "watchdog.ts"))};
import { LateWatchdog } from ${JSON.stringify(join(import.meta.dir, "late-watchdog.ts"))};
const [mark] = process.argv.slice(2);
console.log(process.pid, ...process.argv.slice(2));
if (existsSync(mark)) process.exit(0);
writeFileSync(mark, "");
const watchdog = new Watchdog({ limitMs: 200, platform: systemPlatform });
await watchdog.ready;
${watched}
`;
}

let count = 0;

async function run(
  watched: string,
): Promise<{ readonly starts: string[]; readonly said: string; readonly exitCode: number }> {
  const name = join(dir, String((count += 1)));
  writeFileSync(`${name}.ts`, program(watched));
  const child = Bun.spawn([process.execPath, `${name}.ts`, `${name}.mark`, "--flag"], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, said, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const line = `${child.pid} ${name}.mark --flag`;
  const starts = stdout.trim().split("\n");
  expect(new Set(starts)).toEqual(new Set([line]));
  return { starts, said, exitCode };
}

test("a blocked event loop is reported by its function, and the process starts again", async () => {
  const { starts, said, exitCode } = await run(`watchdog.running("function spin"); for (;;);`);
  expect(said).toBe("FATAL the event loop was blocked for 0.2 s in function spin. Restarting.\n");
  expect([starts.length, exitCode]).toEqual([2, 0]);
}, 20_000);

test("a function that has ended is not reported for a later blocked event loop", async () => {
  const { starts, said } = await run(
    `watchdog.running("function spin"); watchdog.running(""); for (;;);`,
  );
  expect(said).toContain("in code outside of functions");
  expect(starts.length).toBe(2);
}, 20_000);

test("all running functions are reported, and none whose calls have all ended", async () => {
  const calls = [
    ["started", "one"],
    ["started", "two"],
    ["started", "two"],
    ["started", "three"],
    ["ended", "one"],
    ["ended", "two"],
    ["started", "four"],
    ["ended", "four"],
    ["ended", "five"],
  ];
  const { said } = await run(`
    watchdog.stop();
    const late = new LateWatchdog({ limitMs: 200, platform: systemPlatform });
    await late.ready();
    for (const [method, name] of ${JSON.stringify(calls)}) late[method](name);
    for (;;);`);
  expect(said).toContain("in function two or function three. Restarting.");
}, 20_000);

test("the time for which the whole process was stopped does not count as blocked", async () => {
  // As by `docker pause`: the main thread is busy before and after it, for less than the limit.
  const { starts, said, exitCode } = await run(`
    watchdog.stop();
    await new Watchdog({ limitMs: 2_000, platform: systemPlatform }).ready;
    const [{ monotonic }, { pid }] = [systemPlatform, process];
    let [last, now] = [0, monotonic()];
    Bun.spawn(["sh", "-c", "kill -STOP " + pid + "; sleep 3; kill -CONT " + pid]);
    while (last === 0 || now < last + 2_000) [last, now] = [now, monotonic()];
    const end = monotonic() + 300;
    while (monotonic() < end);
    process.exit(0);`);
  expect([starts.length, said, exitCode]).toEqual([1, "", 0]);
}, 20_000);

test("a process whose watchdog was stopped may block its event loop", async () => {
  // Longer than the limit and two looks of the thread.
  const block = "const end = Bun.nanoseconds() + 1.5e9; while (Bun.nanoseconds() < end);";
  const { starts, said, exitCode } = await run(`watchdog.stop(); ${block}`);
  expect([starts.length, said, exitCode]).toEqual([1, "", 0]);
}, 20_000);
