import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createServer, loadApp, loadConfig, type PylonServer } from "@pylonsync/server";
import { writeReferences } from "../packages/cli/src/generated.ts";
import { TestClient } from "../tests/support/client.ts";
import { ADMIN_TOKEN } from "../tests/support/server.ts";
import { codeBlocks, matches, type CodeBlock } from "./code-blocks.ts";

// Every code block of the docs is run here, but for the quick start, which is a path of its own.
// Blocks with a file's name make up the page's app, which is served; `sh` blocks are run against it
// with the clone's own command, and a `json` or `txt` block shows what the one before it printed;
// `ts client` blocks are run, `tsx` blocks are bundled, `mermaid` blocks are drawings.

const docs = import.meta.dir;
const root = join(docs, "..");
/** What does not end by itself, or is about the clone; other tests run it. */
const LEFT_OUT = /^npm (start|test|install)|^([A-Z_]+=\S+ )*pylon dev/;
mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
const work = mkdtempSync(join(root, "node_modules", ".cache", "docs-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

for (const file of [
  "README.md",
  ...["", "coming-from/"].flatMap((folder) =>
    readdirSync(join(docs, folder))
      .filter((name) => name.endsWith(".md") && name !== "quickstart.md")
      .map((name) => `docs/${folder}${name}`),
  ),
]) {
  const blocks = codeBlocks(join(root, file));
  if (blocks.length === 0) continue;
  test(`the code blocks of ${file} do what they say`, async () => {
    const dir = join(work, file.replaceAll(/\W/g, "_"));
    mkdirSync(dir, { recursive: true });
    const server = await serve(blocks, dir);
    try {
      const client = server === null ? null : await TestClient.guest(server.url);
      await runBlocks(file, blocks, dir, {
        URL: server?.url ?? "",
        TOKEN: client?.token ?? "",
        USER: client?.userId ?? "",
        ADMIN: ADMIN_TOKEN,
        CLONE: root,
      });
    } finally {
      await server?.stop();
    }
  }, 60_000);
}

async function serve(blocks: readonly CodeBlock[], dir: string): Promise<PylonServer | null> {
  const files = blocks.filter(({ label }) => isFile(label));
  if (!files.some(({ label }) => label === "app.ts")) return null;
  for (const { label, code } of files) {
    mkdirSync(dirname(join(dir, label)), { recursive: true });
    writeFileSync(join(dir, label), code);
  }
  await writeReferences(dir);
  const app = await loadApp(dir, { dev: true });
  const server = createServer({
    app,
    config: loadConfig({
      PYLON_DEV_MODE: "1",
      PYLON_PORT: "0",
      PYLON_SINGLE_PORT: "1",
      PYLON_IN_MEMORY: "1",
      PYLON_LOG_LEVEL: "error",
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
    }),
  });
  await server.start();
  expect(server.diagnostics).toEqual([]);
  if (app.web !== null) await app.web.assets();
  return server;
}

function isFile(label: string): boolean {
  return /^[\w/.+-]+\.\w+$/.test(label);
}

async function runBlocks(
  file: string,
  blocks: readonly CodeBlock[],
  dir: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  let printed = "";
  for (const block of blocks) {
    const where = `${file}:${block.line}`;
    if (block.language === "sh") printed = await runShell(block, dir, values, where);
    else if (block.language === "json") expectPrinted(block, printed, where);
    else if (block.language === "txt" && block.label === "")
      expect({ where, printed: printed.trimEnd() }).toEqual({
        where,
        printed: block.code.trimEnd(),
      });
    else if (block.language === "tsx") await bundle(block, dir, where);
    else if (block.language === "ts" && block.label === "client")
      printed = await runClient(block, dir, values, where);
    else if (!isFile(block.label) && block.language !== "mermaid")
      throw new Error(`${where} is ${block.language} ${block.label}, which nothing here can run.`);
  }
}

async function runShell(
  { code }: CodeBlock,
  dir: string,
  values: Readonly<Record<string, string>>,
  where: string,
): Promise<string> {
  const script = code
    .split("\n")
    .filter((line) => !LEFT_OUT.test(line))
    .join("\n");
  if (script.trim() === "") return "";
  return run(
    [
      "bash",
      "-euo",
      "pipefail",
      "-c",
      script.replaceAll("http://localhost:4321", values["URL"] ?? ""),
    ],
    dir,
    values,
    where,
  );
}

async function runClient(
  { code }: CodeBlock,
  dir: string,
  values: Readonly<Record<string, string>>,
  where: string,
): Promise<string> {
  const script = join(dir, `client-${where.replaceAll(/\W/g, "_")}.ts`);
  writeFileSync(script, code.replaceAll("http://localhost:4321", values["URL"] ?? ""));
  return run([process.execPath, script], dir, values, where);
}

async function run(
  command: string[],
  cwd: string,
  values: Readonly<Record<string, string>>,
  where: string,
): Promise<string> {
  const child = Bun.spawn(command, {
    cwd,
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"] ?? ""}`,
      ...values,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const timer = setTimeout(() => child.kill(), 50_000);
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  expect({ where, code, error: code === 0 ? "" : error }).toEqual({ where, code: 0, error: "" });
  return out;
}

function expectPrinted({ code }: CodeBlock, printed: string, where: string): void {
  const expected: unknown = JSON.parse(code);
  const actual: unknown = JSON.parse(printed);
  if (!matches(expected, actual))
    expect({ where, printed: actual }).toEqual({ where, printed: expected });
}

async function bundle({ code }: CodeBlock, dir: string, where: string): Promise<void> {
  const entry = join(dir, `${where.replaceAll(/\W/g, "_")}.tsx`);
  writeFileSync(entry, code);
  const { success, logs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    throw: false,
  });
  expect({ where, success, logs: logs.map(String) }).toEqual({ where, success: true, logs: [] });
}
