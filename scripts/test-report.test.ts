import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readReport } from "./test-report.mjs";

test("a run is counted correctly: skips did not pass, and each failure has a reason", () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-report-"));
  try {
    writeFileSync(
      join(dir, "some.test.ts"),
      `import { describe, expect, test } from "bun:test";
       test("good", () => {});
       test.skip("skipped", () => {});
       describe("outer", () => {
         describe("inner & more", () => {
           test("good too", () => {});
           test("wrong <here>", () => expect("got").toBe("wanted"));
         });
         test("thrown", () => { throw new Error("out of order"); });
         test("slow", () => new Promise(() => {}), 10);
       });`,
    );
    const { exitCode } = Bun.spawnSync(
      [process.execPath, "test", "--reporter=junit", "--reporter-outfile=report.xml"],
      { cwd: dir, stdout: "ignore", stderr: "ignore" },
    );
    expect(exitCode).toBe(1);
    const { passed, skipped, failures } = readReport(readFileSync(join(dir, "report.xml"), "utf8"));
    expect([passed, skipped]).toEqual([2, 1]);
    expect(failures.map(({ file, name }) => `${file}: ${name}`).sort()).toEqual([
      "some.test.ts: slow",
      "some.test.ts: thrown",
      "some.test.ts: wrong <here>",
    ]);
    const why = Object.fromEntries(failures.map((failure) => [failure.name, failure.why]));
    expect(why["wrong <here>"]).toContain('Received: "got"');
    expect(why["thrown"]).toMatch(/out of order\s+at .*some.test.ts:9/);
    expect(why["slow"]).toBe("test timed out");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("an invalid report is rejected", () => {
  expect(() => readReport("<html/>")).toThrow("no test suites");
});
