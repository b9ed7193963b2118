import { expect, test } from "bun:test";
import { pylon, TempFolder, type Result } from "./testing/pylon-process.ts";

const PASSES =
  'import { expect, test } from "bun:test";\n' +
  'test("is in memory", () => expect(process.env.PYLON_IN_MEMORY).toBe("1"));\n';
const FAILS = 'import { expect, test } from "bun:test";\ntest("no", () => expect(1).toBe(2));\n';

async function run(files: Record<string, string>, ...args: string[]): Promise<Result> {
  using folder = new TempFolder();
  folder.write(files);
  return await pylon(["test", ...args], folder.path);
}

test("test runs each file of tests/, and fails if one does", async () => {
  const files = {
    "tests/a.test.ts": PASSES,
    "tests/deep/b.test.ts": FAILS,
    "tests/node_modules/c.test.ts": FAILS,
    "functions/d.test.ts": FAILS,
  };
  const { exitCode, stdout } = await run(files, "--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    code: "TEST_FAILED",
    total: 2,
    passed: 1,
    failed: 1,
    files: [
      { file: "tests/a.test.ts", passed: true },
      { file: "tests/deep/b.test.ts", passed: false },
    ],
  });
  const filtered = await run(files, "a.test");
  expect(filtered).toMatchObject({ exitCode: 0 });
  expect(filtered.stdout).toContain("1 file, none failed.");
});

test("test uses functions/ without a tests/, and finding no test is not a failure", async () => {
  expect(await run({ "functions/d.test.ts": FAILS })).toMatchObject({ exitCode: 1 });
  const none = await run({ "app.ts": "" });
  expect(none.exitCode).toBe(0);
  expect(none.stdout).toBe("No tests found in tests.\n");
});
