import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { program, TempFolder } from "./testing/pylon-process.ts";

// Packs every package as it would be published and serves them by a registry of the test's own, for a new app to install from.

const PACKAGES = join(import.meta.dir, "..", "..");
const NAMES = ["cli", "server", "sdk", "functions", "protocol", "query", "sync", "react"];
const folder = new TempFolder();
const packed = new Map<string, { readonly file: string; readonly manifest: Record<string, unknown> }>();
let registry: Bun.Server<undefined>;

beforeAll(async () => {
  for (const name of NAMES) {
    const { exitCode, stdout, stderr } = await program(["npm", "pack", "--silent", "--json", "--pack-destination", folder.path], join(PACKAGES, name));
    expect({ name, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ name, exitCode: 0, stderr: "" });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const manifest = JSON.parse(readFileSync(join(PACKAGES, name, "package.json"), "utf8")) as Record<string, unknown>;
    packed.set(`@pylonsync/${name}`, { file: join(folder.path, filename), manifest });
  }
  registry = Bun.serve({ port: 0, fetch: serve });
}, 120_000);
afterAll(async () => {
  await registry.stop(true);
  folder[Symbol.dispose]();
});

function serve({ url }: Request): Response {
  const path = decodeURIComponent(new URL(url).pathname).slice(1);
  const [, tarballOf] = /^(@pylonsync\/\w+)\/-\/package\.tgz$/.exec(path) ?? [];
  const found = packed.get(tarballOf ?? path);
  if (found === undefined) return new Response("{}", { status: 404 });
  if (tarballOf !== undefined) return new Response(Bun.file(found.file));
  const version = String(found.manifest["version"]);
  const dist = { tarball: new URL(`/${path}/-/package.tgz`, url).href };
  return Response.json({ name: path, "dist-tags": { latest: version }, versions: { [version]: { ...found.manifest, dist } } });
}

test("the packed command has the templates, and no tests", async () => {
  const { stdout } = await program(["tar", "-tzf", packed.get("@pylonsync/cli")?.file ?? ""], folder.path);
  const files = stdout.split("\n");
  for (const file of ["todo/app.ts", "todo/package.json", "deploy/sst/sst.config.ts", "deploy/sst/infra/service.ts", "deploy/docker/app.Dockerfile", "deploy/docker/app.dockerignore", "deploy/compose/docker-compose.yml", "deploy/fly/fly.toml", "deploy/systemd/pylon.service"]) {
    expect(files).toContain(`package/templates/${file}`);
  }
  expect(files.filter((file) => /\.test\.ts$|node_modules|proof/.test(file))).toEqual([]);
});

test.each(["basic", "todo"])("an app from the template %s installs, and its own command checks it, deploys it and installs again from the lock", async (template) => {
  const dir = join(folder.path, template);
  await program([process.execPath, join(PACKAGES, "cli", "src", "main.ts"), "init", template, "--template", template], folder.path);
  await Bun.write(join(dir, ".npmrc"), `@pylonsync:registry=http://localhost:${registry.port}/\n`);
  const run = async (...command: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await program(command, dir);
    expect({ command, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ command, exitCode: 0, stderr: "" });
    return stdout;
  };
  await run("npm", "install", "--no-audit", "--no-fund");
  expect(JSON.parse(await run("npx", "pylon", "dev", "--once", "--json"))).toMatchObject({ code: "DEV_OK", diagnostics: [] });
  expect(JSON.parse(await run("npx", "pylon", "deploy", "--target", "docker", "--json"))).toMatchObject({ code: "DEPLOY_OK" });
  expect(existsSync(join(dir, "Dockerfile"))).toBe(true);
  await run("npm", "ci", "--no-audit", "--no-fund");
  expect(readdirSync(join(dir, "node_modules", "@pylonsync"))).toContain("cli");
  expect(JSON.parse(await run("npm", "run", "--silent", "dev", "--", "--once", "--json"))).toMatchObject({ code: "DEV_OK" });
}, 300_000);
