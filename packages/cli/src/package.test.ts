import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PackageRegistry } from "../../../tests/support/package-registry.ts";
import { program, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

// Packs every package as it would be published and serves them from a registry of the test, for a
// new app to install from.

const PACKAGES = join(import.meta.dir, "..", "..");
const NAMES = [
  "cli",
  "server",
  "studio",
  "sdk",
  "functions",
  "workflows",
  "protocol",
  "query",
  "sync",
  "react",
];
/** The template whose app is installed from nothing. */
const WHOLE = "basic";
const folder = new TempFolder();
let registry: PackageRegistry;
/** The folders of apps by their template. */
const apps = new Map<string, Promise<string>>();

beforeAll(async () => {
  registry = await PackageRegistry.start(folder.path, NAMES);
}, 300_000);
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("the packed command has the templates, and no tests", async () => {
  const { stdout } = await program(
    ["tar", "-tzf", registry.tarballs.get("@pylonsync/cli") ?? ""],
    folder.path,
  );
  const files = stdout.split("\n");
  for (const file of [
    "todo/app.ts",
    "todo/package.json",
    "deploy/sst/sst.config.ts",
    "deploy/sst/infra/service.ts",
    "deploy/docker/app.Dockerfile",
    "deploy/docker/app.dockerignore",
    "deploy/compose/docker-compose.yml",
    "deploy/fly/fly.toml",
    "deploy/systemd/pylon.service",
  ]) {
    expect(files).toContain(`package/templates/${file}`);
  }
  expect(files.filter((file) => /\.test\.ts$|node_modules|proof/.test(file))).toEqual([]);
});

test.each([WHOLE, "todo"])(
  "an app from the template %s is installed, checked and deployed, and keeps its lock",
  async (template) => {
    const dir = await installed(template);
    const run = succeedsIn(dir);
    expect(readdirSync(join(dir, "node_modules", "@pylonsync"))).toContain("cli");
    expect(JSON.parse(await run("npx", "pylon", "dev", "--once", "--json"))).toMatchObject({
      code: "DEV_OK",
      diagnostics: [],
    });
    expect(
      JSON.parse(await run("npx", "pylon", "deploy", "--target", "docker", "--json")),
    ).toMatchObject({ code: "DEPLOY_OK" });
    expect(existsSync(join(dir, "Dockerfile"))).toBe(true);
    // The lock still belongs to the package.json.
    await run("npm", "ci", "--dry-run", "--no-audit", "--no-fund");
    expect(
      JSON.parse(await run("npm", "run", "--silent", "dev", "--", "--once", "--json")),
    ).toMatchObject({ code: "DEV_OK" });
  },
  300_000,
);

/** Functions whose errors the server must recognize. */
const FAILING_APP = {
  "functions/hook.ts": `import { http, verifyStripe } from "@pylonsync/functions";
export default http({
  method: "POST",
  handler: async (request) => Response.json(await verifyStripe(request, "secret")),
});`,
  "functions/isolatedHook.ts": `import { action, v, verifyStripe } from "@pylonsync/functions";
export default action({
  isolate: true,
  args: { rawBody: v.string() },
  handler: (ctx) => verifyStripe(ctx.request, "secret"),
});`,
  "functions/start.ts": `import { action } from "@pylonsync/functions";
export default action({ handler: async (ctx) => ctx.workflows.start("undo") });`,
  "functions/look.ts": `import { action, v } from "@pylonsync/functions";
export default action({
  args: { id: v.string() },
  handler: async (ctx, { id }) => ctx.workflows.get(id),
});`,
  "workflows/undo.ts": `import { StepFailedError, workflow } from "@pylonsync/workflows";
export default workflow("undo", async (ctx, { step }) => {
  try {
    await step("charge", () => { throw new Error("no money"); }, { retries: 0 });
  } catch (error) {
    return { undone: error instanceof StepFailedError ? error.step : null };
  }
});`,
};

// The command is bundled: its classes are others than those of the packages that the app imports.
test("the installed command and the app's packages know each other's errors", async () => {
  const dir = await copiedApp("failing");
  for (const [name, code] of Object.entries(FAILING_APP)) await Bun.write(join(dir, name), code);
  const main = join(dir, "node_modules", "@pylonsync", "cli", "bin", "pylon.mjs");
  await using server = new PylonProcess(["dev", "--port", "0"], dir, {}, [
    process.execPath,
    "--no-env-file",
    "--no-install",
    main,
  ]);
  const { port } = await server.event();
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const headers = { "Stripe-Signature": "t=1,v1=00" };
    const url = `http://localhost:${String(port)}${path}`;
    return (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };

  const refused = { error: { code: "INVALID_SIGNATURE" } };
  expect(await post("/api/http/hook", {})).toMatchObject(refused);
  expect(await post("/api/webhooks/isolatedHook", {})).toMatchObject(refused);

  const id = await post("/api/fn/start", {});
  let run = await post("/api/fn/look", { id });
  while (!/"status":"(completed|failed)"/.test(JSON.stringify(run))) {
    await Bun.sleep(20);
    run = await post("/api/fn/look", { id });
  }
  expect(run).toMatchObject({ status: "completed", output: { undone: "charge" } });
}, 300_000);

// A package of a monorepo, or one that contains a plugin, is compiled with declarations.
test("declarations can be generated for what an app exports", async () => {
  const dir = await copiedApp("declared");
  await Bun.write(
    join(dir, "shared", "schema.ts"),
    `import { http, middleware, mutation, query, shard, v } from "@pylonsync/functions";
import { stripe } from "@pylonsync/functions/plugins";
import { buildManifest, definePlugin, entity, field } from "@pylonsync/sdk";
import { auditLog } from "@pylonsync/sdk/plugins";
import { workflow } from "@pylonsync/workflows";
export const Note = entity("Note", {
  text: field.string(),
  likes: field.int().default(0),
  at: field.datetime().optional(),
  kind: field.enum(["a", "b"]),
  place: field.json(v.object({ line: v.int() })),
  tags: field.array(field.string()),
  parent: field.id("Note").optional(),
  length: field.int().computed(() => 0),
}, { timestamps: true });
export const plugin = definePlugin({ name: "notes", entities: [Note] });
export const audit = auditLog();
export const billing = stripe();
const plugins = [plugin, audit, billing] as const;
export const app = buildManifest({ name: "d", version: "1.0.0", entities: [], plugins });
export const echo = query({
  args: { text: v.string(), at: v.optional(v.int()) },
  handler: (_ctx, args) => args,
});
export const fail = mutation({
  errors: { FULL: { left: v.int() } },
  args: {},
  handler: (ctx) => { throw ctx.error("FULL", "full", { left: 0 }); },
});
export const timed = middleware(async ({ next }) => next({ startedAt: 1 }));
export const page = http({ method: "GET", handler: () => new Response("") });
export const game = shard({
  tickRate: 1,
  input: v.object({ dx: v.int() }),
  init: () => ({ x: 0 }),
  view: (state) => state,
});
export const run = workflow("run", async () => 1);
`,
  );
  await Bun.write(
    join(dir, "shared", "tsconfig.json"),
    JSON.stringify({
      extends: "../tsconfig.json",
      compilerOptions: {
        declaration: true,
        emitDeclarationOnly: true,
        noEmit: false,
        outDir: "out",
      },
      include: ["schema.ts"],
    }),
  );
  const { stdout, exitCode } = await program(["npx", "tsc", "-p", "shared"], dir);
  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 0 });
}, 300_000);

/** Returns a copy of an installed app, to which a test adds files. */
async function copiedApp(name: string): Promise<string> {
  const dir = join(folder.path, name);
  await program(["cp", "-al", await installed(WHOLE), dir], folder.path);
  return dir;
}

/** Returns the folder of an app that was created from a template, with its packages. */
function installed(template: string): Promise<string> {
  const app = apps.get(template) ?? install(template);
  apps.set(template, app);
  return app;
}

async function install(template: string): Promise<string> {
  const main = join(PACKAGES, "cli", "src", "main.ts");
  const command = [process.execPath, main, "init", template, "--template", template];
  await program(command, folder.path);
  const dir = join(folder.path, template);
  await Bun.write(join(dir, ".npmrc"), registry.npmrc);
  // The quick start and the walkthrough install without a lock. Here only the lock is made that
  // way: each whole installation takes 20 seconds of CPU time.
  const run = succeedsIn(dir);
  if (template === WHOLE) {
    await run("npm", "install", "--package-lock-only", "--no-audit", "--no-fund");
    await run("npm", "ci", "--no-audit", "--no-fund");
  } else {
    // What the other app has need not be unpacked again.
    const modules = join(await installed(WHOLE), "node_modules");
    await program(["cp", "-al", modules, join(dir, "node_modules")], folder.path);
    await run("npm", "install", "--no-audit", "--no-fund");
  }
  return dir;
}

/** Returns a function that runs a command in a folder, which must succeed, for its output. */
function succeedsIn(dir: string): (...command: string[]) => Promise<string> {
  return async (...command) => {
    const { exitCode, stdout, stderr } = await program(command, dir);
    expect({ command, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({
      command,
      exitCode: 0,
      stderr: "",
    });
    return stdout;
  };
}
