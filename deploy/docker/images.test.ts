import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { noteApp, queryOf } from "../../packages/cli/src/testing/pylon-process.ts";
import { debianProgram } from "../../tests/support/servers/debian.ts";
import { freePort } from "../../tests/support/servers/free-port.ts";
import { Container } from "./testing/container.ts";
import { Images, type BuiltImage } from "./testing/images.ts";
import { PackageRegistry } from "../../tests/support/package-registry.ts";
import { until } from "../../tests/support/client.ts";
import { run } from "../../tests/support/run.ts";

// Builds both Dockerfiles unchanged, their last stages twice, and runs the resulting images: with
// buildah and runc from Debian's packages, because there may be no Docker engine.

const ROOT = join(import.meta.dir, "..", "..");
const MAX_COMPRESSED_BYTES = 100e6;
const USER = 10_001;
const SECRET = "canary-of-the-app";
/** Signals that it has started, and ends once it is released. */
const SLOW = `Bun.write("/tmp/begun", "").then(async () => {
  while (!(await Bun.file("/tmp/released").exists())) await Bun.sleep(20);
  return "done";
})`;
const EXECUTABLE = "usr/local/bin/pylon";
/** What an image contains of the packages of Debian that only its build installs. */
const COPIED = ["usr/bin/tini", "etc/ssl/certs/ca-certificates.crt"];
const SOURCES = [
  "Dockerfile",
  ".dockerignore",
  "package.json",
  "package-lock.json",
  "packages",
  "deploy",
  "examples",
  "scripts",
  "docs/errors.md",
];

const reason = whyNot();
if (reason !== null) console.error(`The container images are not tested: ${reason}`);

/** The reason why nothing can be built here; null if it can. */
function whyNot(): string | null {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "that needs Linux and root.";
  try {
    for (const name of ["buildah", "debootstrap", "runc"]) debianProgram(name, name);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test("both Dockerfiles run the server in the same way", () => {
  const [own, app] = [join(ROOT, "Dockerfile"), join(import.meta.dir, "app.Dockerfile")].map(
    (file) => /^FROM \$\{BASE_IMAGE\}[\s\S]*?^CMD .*$/m.exec(readFileSync(file, "utf8"))?.[0],
  );
  expect(own).toBeString();
  expect(app).toBe(own ?? "");
});

describe.skipIf(reason !== null)("the images", () => {
  const scratch = mkdtempSync(join(tmpdir(), "pylon-images-"));
  const app = join(scratch, "app");
  let images: Images;
  let registry: PackageRegistry;
  let registryHost = "";
  const built = new Map<string, BuiltImage>();
  const imageOf = (name: string): BuiltImage =>
    built.get(name) ?? expect.unreachable(`${name} was not built`);
  /** Copies what the stage `build` has left in an image into a folder like that of the stage. */
  const filesOf = async (
    name: string,
    paths: readonly string[],
  ): Promise<{ readonly folder: string; readonly executable: string }> => {
    const folder = join(scratch, `${name}-built`);
    const root = await images.unpack(imageOf(name));
    for (const path of paths) {
      const to = join(folder, "out", path);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(root, path), to);
    }
    return { folder, executable: join(folder, "out", EXECUTABLE) };
  };

  beforeAll(async () => {
    chmodSync(scratch, 0o755);
    images = await Images.open();
    registry = await PackageRegistry.start(scratch, [
      "cli",
      "server",
      "studio",
      "sdk",
      "functions",
      "workflows",
      "protocol",
      "query",
    ]);
    registryHost = new URL((await run(["npm", "config", "get", "registry"])).trim()).host;
    copySources(join(scratch, "one"));
    await makeApp(app, registry.npmrc);
    built.set("pylon", await images.build("pylon", join(scratch, "one")));
    built.set("app", await images.build("app", app, { npmrc: registry.npmrc }));
  }, 900_000);

  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await images?.[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  test("the sources, compiled in another folder, make the same layers", async () => {
    const files = await filesOf("pylon", [EXECUTABLE, ...COPIED]);
    // This clone has another folder and an installation of its own.
    await run(["node", "packages/cli/bin/pylon.mjs", "compile", "--out", files.executable], {
      cwd: ROOT,
    });
    const again = await images.build("pylon-again", join(scratch, "one"), {
      built: files.folder,
      isCompressed: false,
    });
    expect(again.layers).toEqual(imageOf("pylon").layers);
  }, 120_000);

  test("a changed function changes only the last, small layer of the app's image", async () => {
    const { folder } = await filesOf("app", [EXECUTABLE, ...COPIED]);
    const packages = join(await images.unpack(imageOf("app")), "app/node_modules");
    cpSync(packages, join(folder, "app/node_modules"), { recursive: true, verbatimSymlinks: true });
    const options = { built: folder, isLayered: true, isCompressed: false };
    const before = await images.build("app-layers", app, options);
    write(app, { "functions/hello.ts": queryOf("'changed'") });
    const after = await images.build("app-changed", app, options);
    // Debian, the user, the executable, the packages, the app.
    expect(before.layers.length).toBeGreaterThanOrEqual(5);
    const last = readFileSync(after.layerFiles.at(-1) ?? "");
    expect(Bun.gzipSync(last).length).toBeLessThan(50_000);
    expect(after.layers.slice(0, -1)).toEqual(before.layers.slice(0, -1));
    expect(after.layers.at(-1)).not.toBe(before.layers.at(-1));
  }, 120_000);

  describe.each(["pylon", "app"])("%s", (name) => {
    test("declares its user, ports, volume, health check, signal and settings", () => {
      const { config } = imageOf(name);
      expect(config).toMatchObject({
        User: `${USER}:${USER}`,
        ExposedPorts: { "4321/tcp": {}, "4322/tcp": {}, "4323/tcp": {}, "4324/tcp": {} },
        Volumes: { "/data": {} },
        WorkingDir: "/app",
        StopSignal: "SIGTERM",
        Healthcheck: { Test: ["CMD", "pylon", "health"] },
        Entrypoint: ["tini", "-s", "--"],
        Cmd: ["pylon", "start"],
      });
      expect(config.Env.filter((line) => !line.startsWith("PATH=")).toSorted()).toEqual([
        "MIMALLOC_PURGE_HOLES_MIN_INTERVAL=5000",
        "PYLON_DB_PATH=/data/pylon.db",
        "PYLON_FILES_DIR=/data/uploads",
        "PYLON_LOG_FORMAT=json",
      ]);
    });

    test(`is at most ${MAX_COMPRESSED_BYTES / 1e6} MB to download`, () => {
      const bytes = imageOf(name).layerFiles.map((file) => statSync(file).size);
      expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(MAX_COMPRESSED_BYTES);
    });

    test("holds no secret, no npm settings and no address of the registry", () => {
      const { layerFiles, history } = imageOf(name);
      // Every Bun executable contains npm's own registry, so finding that one there proves nothing.
      const forbidden = [
        SECRET,
        ...(readFileSync(process.execPath).includes(registryHost) ? [] : [registryHost]),
      ];
      let hasTini = false;
      for (const file of layerFiles) {
        const bytes = Buffer.from(Bun.gunzipSync(readFileSync(file)));
        hasTini ||= bytes.includes("usr/bin/tini");
        const found = forbidden.filter((text) => bytes.includes(text));
        expect({ file, found }).toEqual({ file, found: [] });
      }
      // Proves that the search finds the contents of a layer.
      expect(hasTini).toBe(true);
      expect(forbidden.filter((text) => history.includes(text))).toEqual([]);
    });

    test("has the executable, and nothing of npm, Node and the build", async () => {
      const files = (
        await Promise.all(imageOf(name).layerFiles.map((file) => run(["tar", "-tzf", file])))
      )
        .join("\n")
        .split("\n")
        .map((path) => path.replace(/^\.?\//, ""));
      for (const path of [
        "usr/local/bin/pylon",
        "usr/bin/tini",
        "etc/ssl/certs/ca-certificates.crt",
        "data/",
      ])
        expect(files).toContain(path);
      const refused = [
        /(^|\/)(\.npmrc|\.npm|\.env[^/]*|\.git|node|npm|bun|src\/packages)(\/|$)/,
        /\.test\.ts$/,
        /node_modules\/@pylonsync\/(cli|server)\//,
      ];
      expect(files.filter((path) => refused.some((pattern) => pattern.test(path)))).toEqual([]);
    });

    test("keeps writes over a restart, drains at SIGTERM, reaps orphans; read-only", async () => {
      const { config } = imageOf(name);
      const root = await images.unpack(imageOf(name));
      const data = join(scratch, `${name}-data`);
      mkdirSync(data);
      chownSync(data, USER, USER);
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const volumes = { "/data": data, ...(name === "pylon" ? { "/app:ro": app } : {}) };
      const start = async (attempt: string): Promise<Container> => {
        const container = new Container({
          root,
          config,
          bundle: join(scratch, `${name}-${attempt}`),
          env: { PYLON_PORT: String(port), PYLON_SINGLE_PORT: "1" },
          volumes,
        });
        await container.ready(url);
        return container;
      };

      {
        await using container = await start("first");
        expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: "ok" });
        expect(
          (
            await fetch(`${url}/api/entities/Note`, {
              method: "POST",
              body: JSON.stringify({ text: "kept" }),
            })
          ).status,
        ).toBe(201);
        await expectHealthCheck(container, config.Healthcheck.Test.slice(1));
        await expectUnprivileged(container);

        expect(await call(url, "orphan")).toBe("left");
        const zombies = "cat /proc/[0-9]*/stat 2>/dev/null | grep ') Z ' || true";
        await until(async () => (await container.read(["sh", "-c", zombies])) === "");

        await expectDrain(container, url, config.StopSignal);
      }
      {
        await using container = await start("second");
        expect(await (await fetch(`${url}/api/entities/Note`)).json()).toMatchObject({
          data: [{ text: "kept" }],
        });
        expect(await container.stop(config.StopSignal)).toBe(0);
        expect(await container.stderr).not.toMatch(/FATAL|"level":"error"/);
      }
    }, 60_000);
  });
});

async function expectHealthCheck(container: Container, command: readonly string[]): Promise<void> {
  expect(await container.exec(command)).toBe(0);
  const unused = String(await freePort());
  expect(await container.exec(["pylon", "health", "--port", unused])).not.toBe(0);
}

async function expectUnprivileged(container: Container): Promise<void> {
  expect(await container.read(["id", "-u"])).toBe(`${USER}\n`);
  const intrude = "echo x > /usr/local/bin/x || echo x > /app/x";
  expect(await container.exec(["sh", "-c", intrude])).not.toBe(0);
}

/** Requests in progress are answered before the server ends. */
async function expectDrain(container: Container, url: string, signal: string): Promise<void> {
  const slow = call(url, "slow");
  await until(async () => (await container.exec(["test", "-e", "/tmp/begun"])) === 0);
  const code = container.stop(signal);
  await until(async () => (await fetch(`${url}/readyz`)).status === 503);
  expect(await container.exec(["touch", "/tmp/released"])).toBe(0);
  expect(await slow).toBe("done");
  expect(await code).toBe(0);
}

async function call(url: string, name: string): Promise<unknown> {
  return (await fetch(`${url}/api/fn/${name}`, { method: "POST", body: "{}" })).json();
}

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

/** Copies the repository as a fresh clone has it: the build must not depend on other files. */
function copySources(to: string): void {
  for (const name of SOURCES) {
    mkdirSync(dirname(join(to, name)), { recursive: true });
    cpSync(join(ROOT, name), join(to, name), {
      recursive: true,
      filter: (path) => !/\/(node_modules|\.pylon|\.cache|dist)$/.test(path),
    });
  }
}

/** Creates an app's folder with a lock file, and with files that must not get into its image. */
async function makeApp(dir: string, npmrc: string): Promise<void> {
  const version = (
    JSON.parse(readFileSync(join(ROOT, "packages/cli/package.json"), "utf8")) as { version: string }
  ).version;
  const packageJson = {
    name: "notes",
    private: true,
    type: "module",
    dependencies: { "@pylonsync/sdk": version, "@pylonsync/functions": version },
    devDependencies: { "@pylonsync/cli": version },
  };
  write(dir, {
    "package.json": JSON.stringify(packageJson),
    "app.ts": noteApp("text: field.string()"),
    "functions/hello.ts": queryOf("'hello'"),
    "functions/slow.ts": queryOf(SLOW),
    // The shell ends before its child process, which becomes an orphan.
    "functions/orphan.ts": queryOf(
      "Bun.spawn(['sh', '-c', 'sleep 0.1 & exit 0']).exited.then(() => 'left')",
    ),
    "functions/hello.test.ts": "",
    ".env": `KEY=${SECRET}\n`,
    ".env.production": `KEY=${SECRET}\n`,
    ".npmrc": `${npmrc}; ${SECRET}\n`,
    ".pylon/dev.db": SECRET,
    "pylon.db": SECRET,
    "pylon.db-wal": SECRET,
    "pylon.db.before-2026-01-01T00-00-00-000Z": SECRET,
    "pylon.db.before-2026-01-01T00-00-00-000Z-wal": SECRET,
    "data/pylon.db": SECRET,
    "uploads/paper": SECRET,
    "uploads.before-2026-01-01T00-00-00-000Z/paper": SECRET,
    "uploads.restoring/paper": SECRET,
    "backups/monday/pylon.db": SECRET,
    "backups/monday/uploads/paper": SECRET,
    "backups/tuesday.partial/uploads/paper": SECRET,
    "functions/hello.ts.before-2026-01-01T00-00-00-000Z": SECRET,
    ".git/config": SECRET,
    ".sst/state": SECRET,
    "node_modules/left/index.js": SECRET,
    Dockerfile: readFileSync(join(import.meta.dir, "app.Dockerfile"), "utf8"),
    ".dockerignore": readFileSync(join(import.meta.dir, "app.dockerignore"), "utf8"),
  });
  await run(
    [
      "npm",
      "install",
      "--package-lock-only",
      "--omit-lockfile-registry-resolved",
      "--no-audit",
      "--no-fund",
    ],
    { cwd: dir },
  );
}
