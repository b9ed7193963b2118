import { expect, test } from "bun:test";
import { startOwnProcess } from "./own-process.ts";

/** Runs code in a process, and returns its messages and the reason of its end. */
async function run(code: string): Promise<readonly unknown[]> {
  const heard: unknown[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  startOwnProcess([process.execPath, "-e", code], "advanced", {
    message: (message) => heard.push(message),
    ended: (reason) => {
      heard.push(reason);
      resolve();
    },
  });
  await promise;
  return heard;
}

test("a process sends messages, and receives no variable of the server", async () => {
  process.env["A_SECRET"] = "secret";
  const code = "process.send([process.cwd(), process.env.A_SECRET ?? null]); process.disconnect();";
  expect(await run(code)).toEqual([["/", null], "exit code 0"]);
  delete process.env["A_SECRET"];
});

test.each([
  ["process.exit(3)", "exit code 3"],
  ["process.kill(process.pid, 'SIGKILL')", "signal SIGKILL"],
])("a process that ends by %s is reported", async (code, reason) => {
  expect(await run(code)).toEqual([reason]);
});
