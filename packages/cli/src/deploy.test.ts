import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { TOML, YAML } from "bun";
import { loadConfig } from "@pylonsync/server";
import { parseEnv } from "node:util";
import { canInstall, SstPlatform } from "../../../deploy/sst/proof/platform.ts";
import { debianProgram } from "../../../tests/support/servers/debian.ts";
import { SST_VERSION } from "./deploy/sst.ts";
import { noteApp, pylon, TempFolder, type Result } from "./testing/pylon-process.ts";

const IMAGE = ["Dockerfile", ".dockerignore"];

let folder: TempFolder;
beforeEach(() => {
  folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()").replace('"notes"', '"My Notes!"') });
});
afterEach(() => folder[Symbol.dispose]());

const at = (file: string): string => join(folder.path, file);
const read = (file: string): string => readFileSync(at(file), "utf8");
const mode = (file: string): number => statSync(at(file)).mode & 0o777;

async function deploy(...args: string[]): Promise<
  Result & {
    readonly json: {
      readonly code: string;
      readonly files?: { path: string; state: string; copy?: string }[];
      readonly message?: string;
      readonly next?: string[];
    };
  }
> {
  const result = await pylon(["deploy", ...args, "--json"], folder.path);
  return { ...result, json: JSON.parse(result.stdout) as { code: string } };
}

test.each([
  ["docker", [...IMAGE, "package.json"]],
  ["compose", [...IMAGE, "docker-compose.yml", "package.json", ".env.postgres", ".env.production"]],
  ["fly", [...IMAGE, "fly.toml", "package.json"]],
  ["systemd", ["pylon.service", ".env.systemd"]],
])("%s writes its files and, run again, changes nothing", async (target, files) => {
  const first = await deploy("--target", target);
  expect({
    exitCode: first.exitCode,
    code: first.json.code,
    files: first.json.files?.map(({ path }) => path),
  }).toEqual({ exitCode: 0, code: "DEPLOY_OK", files });
  expect(first.json.files?.every(({ state }) => state === "written")).toBe(true);
  const before = files.map(read);
  expect(before.join()).not.toContain("pylon-app");
  const second = await deploy("--target", target);
  expect(second.json.files?.some(({ state }) => state === "written")).toBe(false);
  expect(files.map(read)).toEqual(before);
});

test("npm install is the next step until there is a lock file to build from", async () => {
  expect((await deploy("--target", "docker")).stdout).toContain('"npm install"');
  folder.write({ "package-lock.json": "{}" });
  expect((await deploy("--target", "docker")).stdout).not.toContain('"npm install"');
});

test("a changed file is kept, and only --force replaces it, but no secrets", async () => {
  await deploy("--target", "compose");
  folder.write({ Dockerfile: "FROM mine\n" });
  const secrets = read(".env.production");
  const kept = await deploy("--target", "compose");
  expect(kept.json.files).toContainEqual({ path: "Dockerfile", state: "kept" });
  expect(kept.stderr).toContain("Dockerfile");
  expect(read("Dockerfile")).toBe("FROM mine\n");
  const forced = (await deploy("--target", "compose", "--force")).json.files?.find(
    ({ path }) => path === "Dockerfile",
  );
  expect(forced).toEqual({
    path: "Dockerfile",
    state: "written",
    copy: expect.stringMatching(/^Dockerfile\.before-/),
  });
  expect(read(forced?.copy ?? "")).toBe("FROM mine\n");
  expect(read("Dockerfile")).not.toContain("mine");
  expect(read(".env.production")).toBe(secrets);
});

/** The private files of an app's folder, and files of the app with similar names. */
const HIDDEN = [
  ".env",
  ".env.production",
  ".pylon/dev.db",
  "pylon.db",
  "pylon.db-wal",
  "pylon.db.before-2026",
  "pylon.db.before-2026-wal",
  "pylon.db.restoring-wal",
  "data/pylon.db",
  "uploads/a",
  "uploads.before-2026/a",
  "uploads.restoring/a",
  "backups/monday/pylon.db",
  "backups/monday/uploads/a",
  "infra/service.ts.before-2026",
];
const SEEN = [
  "app.ts",
  "uploads.ts",
  "functions/uploads.ts",
  "web/uploads/list.tsx",
  "functions/backups/make.ts",
  "functions/users.db.ts",
];

test.each(["init", "deploy"])(
  "git sees no secret, no database and no backup after %s",
  async (command) => {
    if (command === "init") expect((await pylon(["init", "app"], folder.path)).exitCode).toBe(0);
    else expect((await deploy("--target", "docker", "--out", at("app"))).exitCode).toBe(0);
    folder.write(Object.fromEntries([...HIDDEN, ...SEEN].map((file) => [`app/${file}`, ""])));
    const git = (...args: string[]): string =>
      Bun.spawnSync(["git", ...args], { cwd: at("app") }).stdout.toString();
    git("init", "-q");
    const untracked = git("ls-files", "--others", "--exclude-standard").split("\n");
    expect(untracked).toEqual(expect.arrayContaining(SEEN));
    expect(untracked.filter((file) => HIDDEN.includes(file))).toEqual([]);
  },
);

test("--out writes elsewhere and leaves the app alone", async () => {
  expect((await deploy("--target", "docker", "--out", at("out"))).exitCode).toBe(0);
  expect(readdirSync(at("out")).toSorted()).toEqual([".dockerignore", ".gitignore", "Dockerfile"]);
  expect(readdirSync(folder.path).toSorted()).toEqual(["app.ts", "out"]);
});

test("a failed write leaves nothing half-written", async () => {
  mkdirSync(at("fly.toml"));
  const { exitCode, json } = await deploy("--target", "fly");
  expect({ exitCode, code: json.code }).toEqual({ exitCode: 1, code: "DEPLOY_WRITE_FAILED" });
  expect(readdirSync(folder.path).toSorted()).toEqual(["app.ts", "fly.toml"]);
});

test.each<[string[], string, string]>([
  [[], "INVALID_TARGET", "sst, docker, compose, fly, systemd"],
  [["--target", "heroku"], "INVALID_TARGET", "sst, docker, compose, fly, systemd"],
  [["--target", "workers"], "INVALID_TARGET", "long-lived sockets"],
  [["--target", "cloud"], "INVALID_TARGET", "no hosted Pylon"],
  [["--target", "sst", "--shape", "round"], "DEPLOY_INVALID_SHAPE", "nat-less"],
  [["--target", "docker", "--shape", "efs"], "USAGE", "--shape"],
  [["--target", "docker", "--stage", "production"], "USAGE", "--stage"],
  [["--target", "sst", "--stage", "a_b"], "DEPLOY_INVALID_STAGE", "a_b"],
  [["--target", "sst", "--stage", "production", "--out", "x"], "USAGE", "--out"],
])("deploy %j fails with %s", async (args, code, text) => {
  const { exitCode, json } = await deploy(...args);
  expect(exitCode).not.toBe(0);
  expect(json).toMatchObject({ code, message: expect.stringContaining(text) });
  expect(readdirSync(folder.path)).toEqual(["app.ts"]);
});

test("an app with errors is not deployed", async () => {
  folder.write({ "app.ts": "export default (;\n" });
  expect(await deploy("--target", "docker")).toMatchObject({
    exitCode: 1,
    json: { code: "DEPLOY_CHECKS_FAILED" },
  });
  expect(existsSync(at("Dockerfile"))).toBe(false);
});

/** The positions of the steps that contain these parts. */
function placesOf(steps: readonly string[], ...parts: readonly string[]): number[] {
  return parts.map((part) => steps.findIndex((step) => step.includes(part)));
}

test("docker's next steps create the environment first, and let the server drain", async () => {
  const { json } = await deploy("--target", "docker");
  const next = json.next ?? [];
  const order = placesOf(
    next,
    "npm install",
    "secrets generate",
    "PYLON_PUBLIC_URL",
    "doctor --production",
    "docker build",
    "docker run",
  );
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  expect(next[5]).toContain("--stop-timeout 30");
  expect(next[5]).toContain("--env-file .env.production");
});

test("systemd's next steps follow the unit, and copy neither secrets nor dev data", async () => {
  const { json } = await deploy("--target", "systemd");
  const next = json.next ?? [];
  const [program = ""] = /(?<=^ExecStart=)\S+/m.exec(read("pylon.service")) ?? [];
  expect(
    placesOf(
      next,
      `install -m 755 pylon-executable ${program}`,
      ".env.systemd to the public https",
      "doctor --production",
      "tar -c",
      "/etc/my-notes.env",
      "/etc/systemd/system/my-notes.service",
      "systemctl enable",
    ),
  ).toEqual([0, 1, 2, 3, 4, 5, 6]);
  // Runs the step itself, without root and into a folder of the test.
  folder.write({
    ".git/config": "",
    ".envrc": "",
    "functions/.env": "",
    "functions/deep/a.ts": "",
    ...Object.fromEntries([...HIDDEN, ...SEEN].map((file) => [file, ""])),
  });
  chmodSync(at("functions/deep"), 0o700);
  chmodSync(at("functions/deep/a.ts"), 0o600);
  using opt = new TempFolder();
  const [, tar = "none"] = /(tar -c .*) && /.exec(next[3] ?? "") ?? [];
  expect(readFileSync(join(import.meta.dir, "../../../docs/deploy/systemd.md"), "utf8")).toContain(
    `\n${tar.replaceAll("my-notes", "shop")}\n`,
  );
  const copy = (next[3] ?? "")
    .replaceAll("sudo ", "")
    .replaceAll("/opt/my-notes", join(opt.path, "my-notes"));
  expect(Bun.spawnSync(["sh", "-ec", copy], { cwd: folder.path }).exitCode).toBe(0);
  const copied = readdirSync(join(opt.path, "my-notes"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(join(opt.path, "my-notes"), join(entry.parentPath, entry.name)));
  expect(copied.toSorted()).toEqual(
    [".gitignore", "functions/deep/a.ts", "pylon.service", ...SEEN].toSorted(),
  );
  expect(statSync(join(opt.path, "my-notes/functions/deep")).mode & 0o777).toBe(0o755);
  expect(statSync(join(opt.path, "my-notes/functions/deep/a.ts")).mode & 0o777).toBe(0o644);
});

interface Service {
  readonly build?: string;
  readonly image: string;
  readonly restart: string;
  readonly ports?: readonly string[];
  readonly env_file?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
}

describe("compose", () => {
  test("runs production with Postgres and Redis that are not reachable from outside", async () => {
    await deploy("--target", "compose");
    const { services, networks, volumes } = YAML.parse(read("docker-compose.yml")) as {
      services: Record<string, Service & { networks: string[]; depends_on?: unknown }>;
      networks: Record<string, { internal?: boolean } | null>;
      volumes: Record<string, unknown>;
    };
    expect(Object.keys(services)).toEqual(["app", "postgres", "redis"]);
    expect([services["postgres"]?.image, services["redis"]?.image]).toEqual([
      "postgres:16-alpine",
      "redis:7-alpine",
    ]);
    for (const service of Object.values(services))
      expect(service).toMatchObject({
        restart: "unless-stopped",
        healthcheck: { test: expect.any(Array) },
      });
    expect(services["app"]).toMatchObject({
      build: ".",
      ports: ["127.0.0.1:4321:4321"],
      healthcheck: { test: ["CMD", "pylon", "health"] },
      depends_on: {
        postgres: { condition: "service_healthy" },
        redis: { condition: "service_healthy" },
      },
    });
    for (const name of ["postgres", "redis"]) {
      expect(services[name]?.ports).toBeUndefined();
      expect(services[name]?.networks).toEqual(["back"]);
    }
    expect(networks["back"]).toMatchObject({ internal: true });
    expect(Object.keys(volumes)).toEqual(["postgres", "files"]);
    expect(read("Dockerfile")).toContain('CMD ["pylon", "start"]');
  });

  test("its environment is production's, strong, private, not in git or the image", async () => {
    await deploy("--target", "compose");
    const env = parseEnv(read(".env.production"));
    const { database, redisUrl, corsOrigins, adminToken, encryptionSecret, dev } = loadConfig(env);
    const password = parseEnv(read(".env.postgres"))["POSTGRES_PASSWORD"];
    expect(database).toMatchObject({
      kind: "postgres",
      url: `postgres://pylon:${password}@postgres:5432/pylon?sslmode=disable`,
    });
    expect({ redisUrl, corsOrigins, dev }).toEqual({
      redisUrl: "redis://redis:6379",
      corsOrigins: ["http://localhost:4321"],
      dev: false,
    });
    for (const secret of [password, adminToken, encryptionSecret])
      expect(secret).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set([password, adminToken, encryptionSecret]).size).toBe(3);
    expect([mode(".env.production"), mode(".env.postgres")]).toEqual([0o600, 0o600]);
    expect(read(".gitignore")).toContain(".env.*");
    expect(read(".dockerignore").split("\n")).toContain(".env*");
    expect(read("docker-compose.yml")).not.toContain(password ?? "none");
  });
});

test("fly: one machine with a volume, everything on one port, with a health check", async () => {
  await deploy("--target", "fly");
  const toml = TOML.parse(read("fly.toml")) as {
    env: Record<string, string>;
    [key: string]: unknown;
  };
  expect(toml).toMatchObject({
    app: "my-notes",
    mounts: [{ destination: "/data" }],
    deploy: { strategy: "immediate" },
    http_service: {
      internal_port: 4321,
      force_https: true,
      auto_stop_machines: "off",
      min_machines_running: 1,
      checks: [{ path: "/health" }],
    },
  });
  const config = loadConfig(toml.env);
  expect(config).toMatchObject({
    extraPorts: false,
    port: 4321,
    database: { kind: "sqlite", path: "/data/pylon.db" },
    publicUrl: "https://my-notes.fly.dev",
  });
});

test("systemd accepts the unit, and finds little to expose", async () => {
  await deploy("--target", "systemd");
  const unit = read("pylon.service");
  const drain = loadConfig({});
  expect(Number(/TimeoutStopSec=(\d+)s/.exec(unit)?.[1])).toBeGreaterThan(
    drain.drainSeconds + drain.drainDelaySeconds,
  );
  expect(mode(".env.systemd")).toBe(0o600);
  expect(loadConfig(parseEnv(read(".env.systemd"))).adminToken).toMatch(/^[0-9a-f]{64}$/);
  // This machine does not have the program and the environment at their paths on the target
  // machine.
  folder.write({
    "my-notes.service": unit
      .replace("/usr/local/bin/pylon", "/bin/true")
      .replaceAll("/opt/my-notes", "/tmp"),
  });
  const analyze = debianProgram("systemd-analyze", "systemd");
  const verified = Bun.spawnSync([analyze, "verify", at("my-notes.service")], {
    env: { ...process.env, SYSTEMD_LOG_LEVEL: "warning" },
  });
  expect({ exitCode: verified.exitCode, said: verified.stderr.toString() }).toEqual({
    exitCode: 0,
    said: "",
  });
  const security = Bun.spawnSync([
    analyze,
    "security",
    "--offline=true",
    "--threshold=25",
    at("my-notes.service"),
  ]);
  expect({
    exitCode: security.exitCode,
    said: security.exitCode === 0 ? "" : security.stdout.toString(),
  }).toEqual({ exitCode: 0, said: "" });
});

describe("sst", () => {
  const READY = { PYLON_DOMAIN: "api.example.com" };

  test("S6: the definition of the stages is the app's own, and not overwritten", async () => {
    await deploy("--target", "sst");
    expect(read("pylon.stages.ts")).toContain("const stages: Stages = {");
    folder.write({ "pylon.stages.ts": "export default {};" });
    const { json } = await deploy("--target", "sst", "--force");
    expect(json.files?.find(({ path }) => path === "pylon.stages.ts")?.state).toBe("unchanged");
    expect(read("pylon.stages.ts")).toBe("export default {};");
  });

  test("S8: an app named like a reserved word of SQL gets a name that RDS accepts", async () => {
    folder.write({ "app.ts": noteApp("text: field.string()").replace('"notes"', '"Order"') });
    await deploy("--target", "sst");
    expect(read("sst.config.ts")).toContain('name: "order-app"');
  });

  test("writes the shape's config under the app's name, its parts and package.json", async () => {
    folder.write({
      "package.json": '{\n\t"name": "mine",\n\t"devDependencies": {\n\t\t"zod": "1.0.0"\n\t}\n}\n',
    });
    const { exitCode, json, stdout } = await deploy("--target", "sst", "--shape", "redis");
    expect({ exitCode, code: json.code }).toEqual({ exitCode: 0, code: "DEPLOY_OK" });
    expect(read("sst.config.ts")).toContain('name: "my-notes"');
    expect(read("sst.config.ts")).toContain("createCache");
    expect(readdirSync(at("infra"))).toEqual(
      readdirSync(join(import.meta.dir, "../../../deploy/sst/infra")),
    );
    expect(read("package.json")).toBe(
      '{\n\t"name": "mine",\n\t"devDependencies": {\n\t\t"@pylonsync/cli": "0.1.0",\n' +
        '\t\t"sst": "4.17.1",\n\t\t"zod": "1.0.0"\n\t}\n}\n',
    );
    expect(stdout).toContain("npm install");
  });

  test("reports that SST must be installed before it can deploy", async () => {
    const { exitCode, json, stderr } = await deploy("--target", "sst", "--stage", "production");
    expect({ exitCode, code: json.code }).toEqual({ exitCode: 1, code: "DEPLOY_NOT_INSTALLED" });
    expect(stderr).toContain("npm install");
  });

  test("errors of the checks stop it before SST is started", async () => {
    folder.write({
      "node_modules/.bin/sst": "#!/bin/sh\ntouch started\n",
      "package-lock.json": "{}",
    });
    chmodSync(at("node_modules/.bin/sst"), 0o755);
    await deploy("--target", "sst");
    const { exitCode, json } = await deploy("--target", "sst", "--stage", "production");
    expect({ exitCode, json }).toMatchObject({
      exitCode: 1,
      json: {
        code: "DEPLOY_CHECKS_FAILED",
        message: expect.stringContaining("Set the domain of the stage production"),
      },
    });
    expect(existsSync(at("started"))).toBe(false);
  });

  test("returns SST's exit code, and its messages on stderr beside the JSON", async () => {
    folder.write({
      "node_modules/.bin/sst": '#!/bin/sh\necho "said $*"\nexit 42\n',
      "package-lock.json": "{}",
    });
    chmodSync(at("node_modules/.bin/sst"), 0o755);
    await deploy("--target", "sst");
    const { exitCode, stdout, stderr } = await pylon(
      ["deploy", "--target", "sst", "--stage", "pr-7", "--json"],
      folder.path,
      READY,
    );
    expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
      exitCode: 42,
      json: { code: "DEPLOY_FAILED", stage: "pr-7", exit_code: 42 },
    });
    expect(stderr).toContain("said deploy --stage pr-7");
  });

  describe("shapes", () => {
    const parts = (): string =>
      readdirSync(at("."), { recursive: true, encoding: "utf8" })
        .filter((path) => /\.(ts|mjs)$|Dockerfile$/.test(path))
        .toSorted()
        .map((path) => `${path}\n${read(path)}`)
        .join("");

    test.each(["default", "efs", "redis", "shards", "nat-less"])(
      "an app of the shape %s keeps it without --shape, and with that name",
      async (shape) => {
        await deploy("--target", "sst", "--shape", shape);
        const before = parts();
        for (const args of [[], ["--shape", shape], ["--force"]]) {
          expect(await deploy("--target", "sst", ...args)).toMatchObject({
            exitCode: 0,
            stderr: "",
            json: { shape },
          });
        }
        expect(parts()).toBe(before);
        folder.write({
          "sst.config.ts": `${read("sst.config.ts")}// createVolume( is not mine\n`,
          "infra/cdn.ts": "// mine\n",
        });
        expect(await deploy("--target", "sst")).toMatchObject({
          exitCode: 0,
          stderr: expect.stringContaining("sst.config.ts"),
          json: { shape },
        });
      },
    );

    test("the shape shards is recognized in what earlier versions wrote too", async () => {
      await deploy("--target", "sst", "--shape", "shards");
      const earlier = read("sst.config.ts").replace(
        "pylon.shardsDomain(settings.domain)",
        "`shards.${settings.domain}`",
      );
      folder.write({ "sst.config.ts": earlier });
      expect(await deploy("--target", "sst")).toMatchObject({
        exitCode: 0,
        json: { shape: "shards" },
      });
      expect(read("sst.config.ts")).toBe(earlier);
    });

    test.each([
      ["efs", "default", "EMPTY database"],
      ["default", "efs", "EMPTY database"],
      ["default", "redis", "the same database"],
    ])("an app of the shape %s is not deployed as %s", async (before, other, said) => {
      folder.write({
        "node_modules/.bin/sst": "#!/bin/sh\ntouch started\n",
        "package-lock.json": "{}",
      });
      chmodSync(at("node_modules/.bin/sst"), 0o755);
      await deploy("--target", "sst", "--shape", before);
      const files = parts();
      for (const args of [[], ["--stage", "production"], ["--stage", "production", "--force"]]) {
        expect(await deploy("--target", "sst", "--shape", other, ...args)).toMatchObject({
          exitCode: 1,
          json: { code: "DEPLOY_OTHER_SHAPE", message: expect.stringContaining(said) },
        });
      }
      expect(parts()).toBe(files);
      expect(existsSync(at("started"))).toBe(false);
    });

    test("--force writes another one, keeps copies, and warns of an empty database", async () => {
      await deploy("--target", "sst", "--shape", "efs");
      folder.write({ "infra/volume.ts": "// mine\n", "infra/own.ts": "// my own\n" });
      const config = read("sst.config.ts");
      const { exitCode, json, stderr } = await deploy(
        "--target",
        "sst",
        "--shape",
        "default",
        "--force",
      );
      expect({ exitCode, json, stderr }).toMatchObject({
        exitCode: 0,
        json: { shape: "default" },
        stderr: expect.stringContaining("EMPTY database"),
      });
      const copies = Object.fromEntries(
        (json.files ?? []).flatMap(({ path, copy }) =>
          copy === undefined ? [] : [[path, read(copy)]],
        ),
      );
      expect(copies).toEqual({ "sst.config.ts": config, "infra/volume.ts": "// mine\n" });
      expect(read("infra/own.ts")).toBe("// my own\n");
      expect(read("sst.config.ts")).toContain("createDatabase");
    });

    test("a config of an unknown shape is not changed", async () => {
      folder.write({ "sst.config.ts": "export default mine();\n" });
      expect(await deploy("--target", "sst", "--force")).toMatchObject({
        exitCode: 0,
        json: { shape: null },
      });
      expect(await deploy("--target", "sst", "--shape", "efs")).toMatchObject({
        exitCode: 1,
        json: { code: "DEPLOY_OTHER_SHAPE" },
      });
      expect(read("sst.config.ts")).toBe("export default mine();\n");
    });
  });

  const isPossible = canInstall(SST_VERSION);
  describe.skipIf(!isPossible)("the real SST", () => {
    test("accepts what was written; an error without credentials is the exit code", async () => {
      const platform = new SstPlatform(SST_VERSION);
      await deploy("--target", "sst");
      const project = platform.project(folder.path);
      expect(platform.typeErrors(project)).toBe("");
      const env = {
        ...READY,
        SST_SKIP_DEPENDENCY_CHECK: "1",
        // With the program that installed the platform, so that SST does not install it again.
        SST_BUN_PATH: process.execPath,
        SST_TELEMETRY_DISABLED: "1",
        AWS_EC2_METADATA_DISABLED: "true",
        XDG_CONFIG_HOME: at(".config"),
      };
      await Bun.write(join(project, "package-lock.json"), "{}");
      const { exitCode, stderr, stdout } = await pylon(
        ["deploy", "--target", "sst", "--stage", "proof-stage", "--json"],
        project,
        env,
      );
      expect(stdout + stderr).toContain("AWS credentials are not configured");
      expect(exitCode).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ code: "DEPLOY_FAILED", stage: "proof-stage" });
      const secrets = await pylon(
        ["secrets", "generate", "--stage", "proof-stage", "--json"],
        project,
        env,
      );
      expect({
        exitCode: secrets.exitCode,
        json: JSON.parse(secrets.stdout) as unknown,
      }).toMatchObject({
        exitCode: 1,
        json: {
          code: "SECRETS_SST_FAILED",
          message: expect.stringContaining("AWS credentials are not configured"),
        },
      });
      expect(readFileSync(join(project, ".sst", "log", "sst.log"), "utf8")).toContain(
        "config evaluated",
      );
    }, 300_000);
  });
});
