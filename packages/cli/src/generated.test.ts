import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileApp, loadApp } from "@pylonsync/server";
import { writeGenerated, writeReferences } from "./generated.ts";

const dir = mkdtempSync(join(tmpdir(), "pylon-generated-"));
afterAll(() => rmSync(dir, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}
const client = (): string => readFileSync(join(dir, "pylon.client.ts"), "utf8");

/** What `pylon dev` does at each save. */
async function generate(): Promise<readonly unknown[]> {
  await writeReferences(dir);
  const loaded = await loadApp(dir, { dev: true });
  const { app, diagnostics } = compileApp(loaded, { dev: true });
  if (app !== null) writeGenerated(loaded, app.manifest, "app.ts");
  return diagnostics;
}

test("functions use references from the first start on, also those of new functions", async () => {
  write(
    "app.ts",
    `import { buildManifest, entity, field } from "@pylonsync/sdk";
const entities = [entity("Todo", { title: field.string() })];
export default buildManifest({ name: "a", version: "1", access: "public", entities });`,
  );
  write("functions/mails/deliver.ts", handlerOf("internalAction", "() => 1"));
  write(
    "functions/mails/send.ts",
    `import { internal } from "../../pylon.client.ts";
const NAME = internal.mails.deliver;
${handlerOf("action", "(ctx) => ctx.runAction(NAME)")}`,
  );
  expect(await generate()).toEqual([]);
  expect(client()).toContain('export const internal = {\n  mails: {\n    deliver: "mails.deliver"');
  const first = client();
  expect(await generate()).toEqual([]);
  expect(client()).toBe(first);

  write("functions/later.ts", handlerOf("mutation", "() => 1"));
  write(
    "functions/mails/plan.ts",
    `import { api } from "../../pylon.client.ts";
const NAME = api.later;
${handlerOf("mutation", "(ctx) => ctx.scheduler.runAfter(1, NAME)")}`,
  );
  expect(await generate()).toEqual([]);
  expect(client()).toContain('  later: "later",\n');
  expect(client()).toContain('    plan: "mails.plan",\n');
});

test("a folder without functions gets no client before it is valid", async () => {
  const empty = join(dir, "empty");
  mkdirSync(empty);
  await writeReferences(empty);
  expect(existsSync(join(empty, "pylon.client.ts"))).toBe(false);
});

function handlerOf(type: string, handler: string): string {
  return `import { ${type} } from "@pylonsync/functions";
export default ${type}({ args: {}, handler: ${handler} });
`;
}
