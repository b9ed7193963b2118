import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/**
 * Beside folders with the same names as those of the sources, so that the overrides' globs match as
 * they do for real files.
 */
const PROBES = join(ROOT, "node_modules/.cache/lint-probes");

afterAll(() => rmSync(PROBES, { recursive: true, force: true }));

/** What oxlint would report for `source` at `path`. */
function lint(path: string, source: string): string {
  const file = join(PROBES, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source);
  copyFileSync(join(ROOT, ".oxlintrc.json"), join(PROBES, ".oxlintrc.json"));
  const run = Bun.spawnSync(
    [join(ROOT, "node_modules/.bin/oxlint"), "--no-ignore", "-f", "unix", path],
    { cwd: PROBES },
  );
  return run.stdout.toString() + run.stderr.toString();
}

const FORBIDDEN: readonly (readonly [path: string, source: string])[] = [
  [
    "packages/protocol/src/probe.ts",
    `import { join } from "node:path";\nexport const x = join("a");\n`,
  ],
  ["packages/sync/src/deep/probe.ts", `import { serve } from "bun";\nexport const x = serve;\n`],
  ["packages/query/src/probe.ts", `export const x = Bun.version;\n`],
  [
    "packages/server/src/schema/probe.ts",
    `import { readFileSync } from "node:fs";\nexport const x = readFileSync;\n`,
  ],
  [
    "packages/server/src/sync/probe.ts",
    `import { Database } from "bun:sqlite";\nexport const x = Database;\n`,
  ],
  ["packages/server/src/sync/probe.ts", `export const x = process.env.PYLON_PORT;\n`],
];

const LINES = "  void 0;\n".repeat(61);

test.each([
  [
    "packages/sdk/src/probe.ts",
    `export function x(): void {\n${LINES}}\n`,
    "max-lines-per-function",
  ],
  [
    "packages/server/src/sync/probe.ts",
    "export const x = Date.now();\n",
    "no-restricted-properties",
  ],
  [
    "packages/server/src/sync/probe.ts",
    "export const x = crypto.randomUUID();\n",
    "no-restricted-properties",
  ],
  [
    "packages/server/src/auth/probe.ts",
    "export const x = setTimeout(() => 1, 1);\n",
    "no-restricted-globals",
  ],
  [
    "tests/probe.test.ts",
    `import { test } from "bun:test";\ntest.only("a", () => undefined);\n`,
    "no-restricted-properties",
  ],
])("%s may not contain %j: %s", (path, source, rule) => {
  expect(lint(path, source)).toContain(rule);
});

test.each([
  ["packages/server/src/platform.ts", "export const x = Date.now();\n"],
  ["packages/sync/src/probe.ts", "export const x = Date.now();\n"],
  [
    "packages/server/src/sync/probe.test.ts",
    `export function x(): number {\n${LINES}  return Date.now();\n}\n`,
  ],
])("%s may contain %j", (path, source) => {
  expect(lint(path, source)).not.toContain("[Error");
});

test.each(FORBIDDEN)("%s may not contain %j", (path, source) => {
  expect(lint(path, source)).toMatch(/no-restricted-(imports|globals)|no-process-env/);
});

const ALLOWED: readonly (readonly [path: string, source: string])[] = [
  [
    "packages/server/src/store/sqlite/probe.ts",
    `import { Database } from "bun:sqlite";\nexport const x = Database;\n`,
  ],
  ["packages/sync/src/probe.test.ts", `import { serve } from "bun";\nexport const x = serve;\n`],
];

test.each(ALLOWED)("%s may contain %j", (path, source) => {
  expect(lint(path, source)).not.toContain("[Error");
});
