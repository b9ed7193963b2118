import { expect, test } from "bun:test";
import { join } from "node:path";
import { TempFolder } from "../testing/pylon-process.ts";
import { copyOnThread } from "./copy-on-thread.ts";

test.each([
  [
    "that ends without an answer",
    "self.onmessage = () => process.exit(0);",
    "ended before the copy did",
  ],
  ["that fails", 'self.onmessage = () => { throw new Error("no room"); };', "no room"],
])("a thread %s is a copy that failed", async (_what, code, message) => {
  using folder = new TempFolder();
  folder.write({ "worker.ts": code });
  await expect(
    copyOnThread({ from: "a", to: "b" }, join(folder.path, "worker.ts")),
  ).rejects.toThrow(message);
});
