import {
  checkPackage,
  createPackageFromTarballData,
  type ResolutionKind,
} from "@arethetypeswrong/core";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { run } from "../tests/support/run.ts";

// Tests what a user of the packages has: a project with its own rules, and no Bun.

const ROOT = join(import.meta.dir, "..");
const dir = mkdtempSync(join(tmpdir(), "pylon-consumer-"));

const NAMES = readdirSync(join(ROOT, "packages"));
const INSTALLED = ["functions", "workflows", "protocol", "query", "sdk", "sync", "react"];
const VERSION = "0.1.0";

const tarball = (name: string): string => join(dir, "packages", `pylonsync-${name}-${VERSION}.tgz`);

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
export default buildManifest({ name: "shop", version: "1.0.0", entities: [entity("Note", {
  text: field.string() })], policies: [policy({ name: "notes", entity: "Note", allow: "true" })] });
`,
  "functions.ts": `import { mutation, v } from "@pylonsync/functions";
export default mutation({ args: { text: v.string() }, handler: async (ctx, { text }) =>
  ctx.db.insert("Note", { text }) });
`,
  "notes.tsx": `import { db, SignIn, useSession } from "@pylonsync/react";
import { safePath } from "@pylonsync/react/safe-path";
import { SyncEngine } from "@pylonsync/sync";
export function Notes({ sync }: { readonly sync: SyncEngine }) {
  const { userId } = useSession(sync);
  const { data } = db.useQuery("Note");
  return userId === null ? <SignIn redirectTo={safePath("/")} /> : <ul>{data.map(({ id, text }) =>
    <li key={id}>{String(text)}</li>)}</ul>;
}
`,
  "testing.ts": `import { createTestApp } from "@pylonsync/testing";
export async function check(): Promise<number> {
  await using t = await createTestApp(".");
  return t.db.count("Note");
}
`,
  "main.js": `import { buildManifest } from "@pylonsync/sdk";
import { SyncEngine } from "@pylonsync/sync";
import { SignIn } from "@pylonsync/react";
import { renderToString } from "react-dom/server";
import { createElement } from "react";
console.log(JSON.stringify([typeof buildManifest, typeof SyncEngine,
  renderToString(createElement(SignIn, { sync: new SyncEngine({ baseUrl: "http://127.0.0.1:9",
    appName: "a" }) })).includes("password")]));
`,
};

beforeAll(async () => {
  const packages = join(dir, "packages");
  mkdirSync(packages);
  await run(["node", join(ROOT, "scripts", "build-packages.mjs"), packages]);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
  const packed = INSTALLED.map((name) => join("packages", basename(tarball(name))));
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
  // Only its declarations are used here, so it is not installed with the server, which it runs.
  const testing = join(dir, "node_modules", "@pylonsync", "testing");
  mkdirSync(testing);
  await run(["tar", "-xzf", tarball("testing"), "-C", testing, "--strip-components=1"]);
}, 240_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a project's own tsc, which is stricter than ours, finds nothing in them", async () => {
  await run([join(ROOT, "node_modules", ".bin", "tsc"), "--singleThreaded", "-p", dir]);
}, 60_000);

test("Node loads them as they are", async () => {
  expect(JSON.parse(await run(["node", "main.js"], { cwd: dir }))).toEqual([
    "function",
    "function",
    true,
  ]);
}, 60_000);

test.each(NAMES)("publint finds nothing in %s", async (name) => {
  const { messages, pkg } = await publint({
    strict: true,
    pack: { tarball: await Bun.file(tarball(name)).arrayBuffer() },
  });
  expect(messages.map((message) => formatMessage(message, pkg ?? {}))).toEqual([]);
});

// They are ES modules with `exports`, which neither `require` nor the oldest resolution supports.
const IGNORED: readonly string[] = ["node10", "node16-cjs"] satisfies ResolutionKind[];

test.each(NAMES)(
  "each import of %s finds its types, in Node and in bundlers",
  async (name) => {
    const packed = await Bun.file(tarball(name)).bytes();
    const result = await checkPackage(createPackageFromTarballData(packed));
    const problems: readonly { readonly kind: string; readonly resolutionKind?: string }[] =
      result.types === false ? [{ kind: "NoTypes" }] : result.problems;
    expect(
      problems.filter(({ resolutionKind }) => !IGNORED.includes(resolutionKind ?? "")),
    ).toEqual([]);
  },
  120_000,
);

test.each(NAMES)(
  "%s is published with README, license and sources, and without tests",
  async (name) => {
    const files = (await run(["tar", "-tzf", tarball(name)])).split("\n");
    expect(files).toContain("package/README.md");
    expect(files).toContain("package/LICENSE");
    expect(files.filter((file) => /\.test\.|\/testing\//.test(file))).toEqual([]);
  },
);

test("traces of the bundled command name its sources where npm installs them", async () => {
  const path = "package/dist/main.js.map";
  const map = await run(["tar", "-xzOf", tarball("cli"), path]);
  const { sources } = JSON.parse(map) as { readonly sources: readonly string[] };
  expect(sources).toContain("../../cli/src/main.ts");
  expect(sources).toContain("../../server/src/server.ts");
  expect(sources).toContainEqual(expect.stringMatching(/^\.\.\/\.\.\/\.\.\/zod\//));
  const packages = NAMES.join("|");
  const isInstalled = new RegExp(`^../../((${packages})/src/|../[a-z@])`);
  expect(sources.filter((source) => !isInstalled.test(source))).toEqual([]);
});

test("an unknown package is rejected by name", async () => {
  const { exitCode, stderr } = Bun.spawnSync([
    "node",
    join(ROOT, "scripts", "build-packages.mjs"),
    dir,
    "nothing",
  ]);
  expect([exitCode, stderr.toString()]).toEqual([
    64,
    "There is no package nothing: they are functions, workflows, protocol, query, sdk, sync, " +
      "react, react-native, vue, svelte, solid, tanstack-db, " +
      "next, testing, loro, server, studio, cli.\n",
  ]);
});
