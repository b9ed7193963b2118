import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PackageRegistry } from "../../../tests/support/package-registry.ts";
import { program, TempFolder } from "./testing/pylon-process.ts";

// Packs every package as it would be published and serves them from a registry of the test, for a
// new app to install from.

const PACKAGES = join(import.meta.dir, "..", "..");
const NAMES = [
  "cli",
  "server",
  "sdk",
  "functions",
  "workflows",
  "protocol",
  "query",
  "sync",
  "react",
];
const folder = new TempFolder();
let registry: PackageRegistry;

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

test.each(["basic", "todo"])(
  "an app from the template %s installs from its lock, is checked and deployed, and keeps its lock",
  async (template) => {
    const dir = join(folder.path, template);
    await program(
      [
        process.execPath,
        join(PACKAGES, "cli", "src", "main.ts"),
        "init",
        template,
        "--template",
        template,
      ],
      folder.path,
    );
    await Bun.write(join(dir, ".npmrc"), registry.npmrc);
    const run = async (...command: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await program(command, dir);
      expect({ command, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({
        command,
        exitCode: 0,
        stderr: "",
      });
      return stdout;
    };
    // The quick start and the walkthrough install without a lock. Here only the lock is made that
    // way: each whole installation takes 20 seconds of CPU time.
    await run("npm", "install", "--package-lock-only", "--no-audit", "--no-fund");
    await run("npm", "ci", "--no-audit", "--no-fund");
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
