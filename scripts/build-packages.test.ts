import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../tests/support/run.ts";

// What somebody has who installs the packages: a project with rules of its own, and no Bun.

const ROOT = join(import.meta.dir, "..");
const dir = mkdtempSync(join(tmpdir(), "pylon-consumer-"));

const FILES = {
  "package.json": JSON.stringify({ name: "consumer", private: true, type: "module" }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      target: "ES2022",
      lib: ["ES2022", "DOM"],
      module: "ESNext",
      moduleResolution: "bundler",
      jsx: "react-jsx",
      strict: true,
      exactOptionalPropertyTypes: true,
      noPropertyAccessFromIndexSignature: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      noUncheckedIndexedAccess: true,
      types: [],
      noEmit: true,
    },
    include: ["*.ts", "*.tsx"],
  }),
  "app.ts": `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({ name: "shop", version: "1.0.0", entities: [entity("Note", { text: field.string() })], policies: [policy({ name: "notes", entity: "Note", allow: "true" })] });
`,
  "functions.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { text: v.string() }, handler: async (ctx, { text }) => ctx.db.insert("Note", { text }) });
`,
  "notes.tsx": `import { db, SignIn, useSession } from "@pylonsync/react";
import { safePath } from "@pylonsync/react/safe-path";
import { SyncEngine } from "@pylonsync/sync";
export function Notes({ sync }: { readonly sync: SyncEngine }) {
  const { userId } = useSession(sync);
  const { data } = db.useQuery("Note");
  return userId === null ? <SignIn redirectTo={safePath("/")} /> : <ul>{data.map(({ id, text }) => <li key={id}>{String(text)}</li>)}</ul>;
}
`,
  "main.js": `import { buildManifest } from "@pylonsync/sdk";
import { SyncEngine } from "@pylonsync/sync";
import { SignIn } from "@pylonsync/react";
import { renderToString } from "react-dom/server";
import { createElement } from "react";
console.log(JSON.stringify([typeof buildManifest, typeof SyncEngine, renderToString(createElement(SignIn, { sync: new SyncEngine({ baseUrl: "http://127.0.0.1:9", appName: "a" }) })).includes("password")]));
`,
};

beforeAll(async () => {
  const packages = join(dir, "packages");
  mkdirSync(packages);
  await run([
    "node",
    join(ROOT, "scripts", "build-packages.mjs"),
    packages,
    "functions",
    "protocol",
    "query",
    "sdk",
    "sync",
    "react",
  ]);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
  const packed = readdirSync(packages).map((file) => join("packages", file));
  await run(
    [
      "npm",
      "install",
      "--no-audit",
      "--no-fund",
      "--save-exact",
      ...packed.map((file) => `./${file}`),
      "react@19.3.1",
      "react-dom@19.3.1",
      "@types/react@19.3.0",
    ],
    { cwd: dir },
  );
}, 240_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a project's own tsc, which is stricter than ours, finds nothing in them", async () => {
  await run([join(ROOT, "node_modules", ".bin", "tsc"), "-p", dir]);
}, 60_000);

test("Node loads them as they are", async () => {
  expect(JSON.parse(await run(["node", "main.js"], { cwd: dir }))).toEqual([
    "function",
    "function",
    true,
  ]);
}, 60_000);

test("a package that is none is named", async () => {
  const { exitCode, stderr } = Bun.spawnSync([
    "node",
    join(ROOT, "scripts", "build-packages.mjs"),
    dir,
    "nothing",
  ]);
  expect([exitCode, stderr.toString()]).toEqual([
    64,
    "There is no package nothing: they are functions, protocol, query, sdk, sync, react, next, server, cli.\n",
  ]);
});
