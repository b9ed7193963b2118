import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pylon, TempFolder } from "../testing/pylon-process.ts";
import type { Check } from "./check.ts";

const SECRETS = {
  PYLON_ADMIN_TOKEN: "0d4f7a1c9b3e5d6f8a2c4b6e8d0f1a3c",
  PYLON_SSO_ENCRYPTION_KEY: "9b3e5d6f8a2c4b6e8d0f1a3c0d4f7a1c",
};
const GOOD: Readonly<Record<string, string>> = {
  ...SECRETS,
  PYLON_CORS_ORIGIN: "https://app.example.com",
  PYLON_PUBLIC_URL: "https://api.example.com",
  PYLON_TRUST_PROXY_HOPS: "1",
  PYLON_EMAIL_PROVIDER: "ses",
  PYLON_EMAIL_FROM: "hi@example.com",
};

function app(
  extra = "",
  entities = '[entity("User", { email: field.string() }), ' +
    'entity("Note", { text: field.string() })]',
): string {
  return `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({ name: "shop", version: "1.0.0", entities: ${entities},
  policies: [policy({ name: "u", entity: "User", allow: "auth.userId == data.id" }), policy({
    name: "n", entity: "Note", allow: "auth.userId != null" })], ${extra} });
`;
}

let folder: TempFolder;
beforeEach(() => {
  folder = new TempFolder();
  folder.write({
    "app.ts": app(),
    "package.json": '{"devDependencies":{"@pylonsync/cli":"0.1.0"}}',
    "package-lock.json": "{}",
  });
});
afterEach(() => folder[Symbol.dispose]());

async function diagnose(
  env: Readonly<Record<string, string>> = {},
  ...args: string[]
): Promise<{
  readonly exitCode: number;
  readonly text: string;
  readonly found: Readonly<Record<string, Check>>;
  readonly trouble: string[];
}> {
  const { exitCode, stdout, stderr } = await pylon(
    ["doctor", "--production", "--json", ...args],
    folder.path,
    { ...GOOD, ...env },
  );
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return {
    exitCode,
    text: stdout + stderr,
    found: Object.fromEntries(checks.map((check) => [check.name, check])),
    trouble: checks
      .filter(({ status }) => status !== "pass")
      .map(({ name, status }) => `${name} ${status}`),
  };
}

test("an app that is ready passes every check, and nothing is changed", async () => {
  const before = snapshot();
  expect(await diagnose()).toMatchObject({ exitCode: 0, trouble: [] });
  expect(snapshot()).toEqual(before);
});

test.each<[string, Record<string, string>, string]>([
  ["dev mode error", { PYLON_DEV_MODE: "1" }, "Remove it"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "" }, "pylon secrets generate"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "sixteen-letters-" }, "fewer than 32"],
  [
    "admin token error",
    { PYLON_ADMIN_TOKEN: "please-change-me-please-change-me-now" },
    "attackers try first",
  ],
  [
    "admin token error",
    { PYLON_ADMIN_TOKEN: "ababababababababababababababababab" },
    "few different",
  ],
  ["encryption key error", { PYLON_SSO_ENCRYPTION_KEY: "" }, "the app has users"],
  [
    "encryption key error",
    { PYLON_SSO_ENCRYPTION_KEY: "this-is-a-secret-for-everybody-to-read" },
    "attackers try first",
  ],
  [
    "JWT secret error",
    { PYLON_JWT_SECRET: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
    "few different",
  ],
  [
    "OAuth error",
    { PYLON_OAUTH_GITHUB_CLIENT_ID: "abc" },
    "PYLON_OAUTH_GITHUB_CLIENT_SECRET is not set",
  ],
  ["CORS error", { PYLON_CORS_ORIGIN: "" }, "is not set"],
  ["CORS error", { PYLON_CORS_ORIGIN: "*" }, "contains *"],
  [
    "CORS error",
    { PYLON_CORS_ORIGIN: "https://a.example.com,http://b.example.com" },
    "http://b.example.com",
  ],
  ["public URL error", { PYLON_PUBLIC_URL: "" }, "is not set"],
  ["public URL error", { PYLON_PUBLIC_URL: "http://api.example.com" }, "must begin with https"],
  ["cookies error", { PYLON_COOKIE_SECURE: "0" }, "remove it"],
  ["proxies warning", { PYLON_TRUST_PROXY_HOPS: "0" }, "number of proxies in front"],
  ["proxies warning", { PYLON_TRUST_PROXY_HOPS: "7" }, "callers can forge"],
  ["mail warning", { PYLON_EMAIL_PROVIDER: "", PYLON_EMAIL_FROM: "" }, "PYLON_EMAIL_PROVIDER"],
  ["configuration error", { PYLON_DRAIN_SECS: "soon" }, "PYLON_DRAIN_SECS"],
  [
    "database TLS error",
    { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop" },
    "sslmode=require",
  ],
  [
    "redis warning",
    { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop?sslmode=require" },
    "rate limits and ctx.cache are separate for each; rooms use Postgres",
  ],
  [
    "files warning",
    { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop?sslmode=require" },
    "PYLON_FILES_PROVIDER=s3",
  ],
  ["files error", { PYLON_FILES_PROVIDER: "s3" }, "PYLON_S3_BUCKET"],
  [
    "migration warning",
    { DATABASE_URL: "postgres://u:canary-password@localhost:1/shop" },
    "can't be reached from here",
  ],
  [
    "names warning",
    { PYLON_CORS_ORIGINS: "https://app.example.com" },
    "PYLON_CORS_ORIGINS (did you mean PYLON_CORS_ORIGIN?)",
  ],
  [
    "names warning",
    { PYLON_TRUST_PROXY_HOP: "2", PYLON_SOMETHING_OF_MY_OWN: "1" },
    "PYLON_SOMETHING_OF_MY_OWN",
  ],
])("%s: %j", async (trouble, env, message) => {
  const { text, trouble: all, found, exitCode } = await diagnose(env);
  expect(all).toContain(trouble);
  expect(found[trouble.replace(/ \w+$/, "")]?.message).toContain(message);
  expect(exitCode).toBe(all.some((entry) => entry.endsWith(" error")) ? 1 : 0);
  const secrets = Object.entries({ ...GOOD, ...env })
    .filter(([name, value]) => /TOKEN|KEY|SECRET/.test(name) && value.length > 10)
    .map(([, value]) => value);
  for (const secret of [...secrets, "canary-password"]) expect(text).not.toContain(secret);
});

describe("the files in the folder", () => {
  test.each<[string, Record<string, string>, string]>([
    [
      "policies warning",
      {
        "app.ts": app(
          "",
          '[entity("User", { email: field.string() }), entity("Note", { text: ' +
            'field.string() }), entity("Open", { a: field.string() })]',
        ),
      },
      "No policy applies to Open",
    ],
    ["policies warning", { "app.ts": app('access: "public",') }, "everyone may read and write"],
    [
      "plugins error",
      {
        "app.ts": app(
          'plugins: [{ name: "file_storage", config: { bucket: "${env.MY_BUCKET}" } }],',
        ),
      },
      "MY_BUCKET",
    ],
    ["app error", { "app.ts": "export default (;" }, ""],
    [
      "versions warning",
      { "package.json": '{"devDependencies":{"@pylonsync/cli":"^0.1.0"}}' },
      "exact version",
    ],
    [
      ".env in the image error",
      { Dockerfile: "FROM scratch", ".env.production": "", ".dockerignore": ".env\n" },
      ".env.production",
    ],
    [
      ".env in the image error",
      { Dockerfile: "FROM scratch", ".dockerignore": ".env*\n!.env\n" },
      "does not exclude .env from",
    ],
    ["versions error", { "package.json": '{"devDependencies":' }, "fix it"],
    ["versions error", { "package.json": "[]" }, "fix it"],
  ])("%s", async (trouble, files, message) => {
    folder.write(files);
    const { trouble: all, found } = await diagnose();
    expect(all).toContain(trouble);
    expect(found[trouble.replace(/ \w+$/, "")]?.message).toContain(message);
  });

  test("no lock file", async () => {
    using empty = new TempFolder();
    empty.write({ "app.ts": app(), "package.json": "{}" });
    const { stdout } = await pylon(
      ["doctor", "--production", "--json", empty.path],
      folder.path,
      GOOD,
    );
    expect(JSON.parse(stdout)).toMatchObject({
      checks: expect.arrayContaining([
        expect.objectContaining({ name: "lock file", status: "error" }),
      ]),
    });
  });

  test.each([
    ["bun.lock here", "bun.lock"],
    ["package-lock.json above", "../package-lock.json"],
  ])("the Dockerfile copies package-lock.json, and there is a %s", async (_what, lock) => {
    using workspace = new TempFolder();
    workspace.write({
      "app/app.ts": app(),
      "app/package.json": "{}",
      [join("app", lock)]: "{}",
      "app/.dockerignore": ".env*\n",
    });
    const lockCheck = async (): Promise<Check | undefined> => {
      const { stdout } = await pylon(
        ["doctor", "--production", "--json", join(workspace.path, "app")],
        folder.path,
        GOOD,
      );
      return (JSON.parse(stdout) as { checks: Check[] }).checks.find(
        ({ name }) => name === "lock file",
      );
    };
    expect((await lockCheck())?.status).toBe("pass");
    workspace.write({
      "app/Dockerfile": readFileSync(
        join(import.meta.dir, "../../../../deploy/docker/app.Dockerfile"),
        "utf8",
      ),
    });
    expect(await lockCheck()).toMatchObject({
      status: "error",
      message: expect.stringContaining("npm install"),
    });
    workspace.write({ "app/package-lock.json": "{}" });
    expect((await lockCheck())?.status).toBe("pass");
  });

  test("if an app does not load, no check that depends on it passes", async () => {
    folder.write({ "app.ts": "export default (;" });
    const { found } = await diagnose({
      PYLON_SSO_ENCRYPTION_KEY: "",
      PYLON_EMAIL_PROVIDER: "",
      PYLON_EMAIL_FROM: "",
    });
    expect(found["app"]?.status).toBe("error");
    for (const name of ["policies", "plugins", "files", "mail", "encryption key"])
      expect(found[name]).toMatchObject({
        name,
        status: "warning",
        message: expect.stringContaining("the app has errors"),
      });
  });

  test(".env in git is an error; an example of one is not", async () => {
    folder.write({ ".env": "A=b", ".env.example": "A=" });
    for (const args of [
      ["init", "-q"],
      ["add", ".env.example"],
    ])
      spawnSync("git", args, { cwd: folder.path });
    expect((await diagnose()).trouble).toEqual([]);
    spawnSync("git", ["add", "-f", ".env"], { cwd: folder.path });
    expect((await diagnose()).found[".env in git"]).toMatchObject({
      status: "error",
      message: expect.stringContaining("git rm --cached"),
    });
  });

  test("a migration that would lose data is an error, a removed field a warning", async () => {
    const env = { PYLON_DB_PATH: join(folder.path, "data", "shop.db") };
    expect((await pylon(["migrate", "apply", "--yes"], folder.path, env)).exitCode).toBe(0);
    expect((await diagnose(env)).trouble).toEqual([]);
    const found = async (fields: string): Promise<unknown> => {
      folder.write({
        "app.ts": app(
          "",
          `[entity("User", { email: field.string() }), entity("Note", { ${fields} })]`,
        ),
      });
      const before = snapshot();
      const { migration } = (await diagnose(env)).found;
      expect(snapshot()).toEqual(before);
      return migration;
    };
    expect(await found("words: field.string().optional()")).toMatchObject({
      status: "warning",
      message: expect.stringContaining("they are kept (drop Note.text"),
    });
    expect(await found("text: field.int()")).toMatchObject({
      status: "error",
      message: expect.stringContaining("change Note.text"),
    });
  });
});

test("a secret that a function or a plugin declares must be set", async () => {
  folder.write({
    "app.ts": app("plugins: [stripe()]").replace(
      "import",
      'import { stripe } from "@pylonsync/functions/plugins";\nimport',
    ),
    "functions/hook.ts":
      'import { http } from "@pylonsync/functions";\n' +
      'export default http({ method: "POST", secrets: ["GITHUB_SECRET"], ' +
      "handler: () => new Response() });\n",
  });
  const { exitCode, trouble, found } = await diagnose({ GITHUB_SECRET: "" });
  expect([exitCode, trouble]).toEqual([0, ["function secrets warning"]]);
  const { message = "" } = found["function secrets"] ?? {};
  expect(message).toContain("GITHUB_SECRET");
  expect(message).toContain("STRIPE_WEBHOOK_SECRET");
  const set = { GITHUB_SECRET: "one", STRIPE_WEBHOOK_SECRET: "two" };
  expect((await diagnose(set)).trouble).toEqual([]);
});

test(".env.production is read, .env is not, and the process wins", async () => {
  folder.write({
    ".env.production": "PYLON_TRUST_PROXY_HOPS=9\nPYLON_COOKIE_SECURE=0\n",
    ".env": "PYLON_DEV_MODE=1\n",
  });
  expect((await diagnose()).trouble).toEqual(["cookies error"]);
});

describe("without variables in the process", () => {
  const none = Object.fromEntries(Object.keys(GOOD).map((name) => [name, ""]));
  const fileOf = (values: Readonly<Record<string, string>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
  const ofDeployment = (file: string): string =>
    readFileSync(join(import.meta.dir, "../../../../deploy", file), "utf8");
  const diagnoseFiles = async (...args: string[]): ReturnType<typeof diagnose> => {
    const { exitCode, stdout, stderr } = await pylon(
      ["doctor", "--production", "--json", ...args],
      folder.path,
    );
    const { checks = [] } = JSON.parse(stdout) as { checks?: Check[] };
    return {
      exitCode,
      text: stdout + stderr,
      found: Object.fromEntries(checks.map((check) => [check.name, check])),
      trouble: checks
        .filter(({ status }) => status !== "pass")
        .map(({ name, status }) => `${name} ${status}`),
    };
  };

  test(".env.systemd is read if it is the only one, with the variables of the unit", async () => {
    folder.write({
      ".env.systemd": fileOf(GOOD),
      "pylon.service": ofDeployment("systemd/pylon.service").replaceAll(
        "/var/lib/pylon-app",
        join(folder.path, "data"),
      ),
    });
    const { trouble, found, exitCode } = await diagnoseFiles();
    expect({ trouble, exitCode }).toEqual({ trouble: [], exitCode: 0 });
    expect(found["configuration"]?.message).toContain(".env.systemd and pylon.service");
    expect(found["migration"]?.message).toContain(join(folder.path, "data", "pylon.db"));
  });

  test("beside .env.production it is named, and read if requested", async () => {
    folder.write({
      ".env.production": fileOf(GOOD),
      ".env.systemd": fileOf({ ...GOOD, PYLON_COOKIE_SECURE: "0" }),
    });
    const { trouble, found } = await diagnoseFiles();
    expect({ trouble, message: found["settings"]?.message }).toEqual({
      trouble: ["settings warning"],
      message: expect.stringContaining("--env-file .env.systemd"),
    });
    expect((await diagnoseFiles("--env-file", ".env.systemd")).trouble).toEqual(["cookies error"]);
  });

  test("--env-file names another file, also beside an sst.config.ts", async () => {
    folder.write({
      "sst.config.ts": "",
      ".env.production": "PYLON_COOKIE_SECURE=0\n",
      "deep/server.env": fileOf(GOOD),
    });
    expect(await diagnoseFiles("--env-file", join("deep", "server.env"))).toMatchObject({
      exitCode: 0,
      trouble: [],
    });
    expect(await diagnoseFiles("--env-file", "nowhere")).toMatchObject({
      exitCode: 64,
      text: expect.stringContaining("DOCTOR_NO_ENV_FILE"),
    });
    expect(
      (await pylon(["doctor", "--env-file", "deep/server.env"], folder.path, none)).exitCode,
    ).toBe(64);
  });

  test("[env] of fly.toml counts, and a secret in it is an error", async () => {
    folder.write({
      ".env.production": fileOf({
        ...SECRETS,
        PYLON_EMAIL_PROVIDER: "ses",
        PYLON_EMAIL_FROM: "hi@example.com",
      }),
      "fly.toml": ofDeployment("fly/fly.toml"),
    });
    expect(await diagnoseFiles()).toMatchObject({ exitCode: 0, trouble: [] });
    folder.write({
      "fly.toml": ofDeployment("fly/fly.toml").replace(
        "[env]",
        '[env]\n  STRIPE_SECRET = "canary-of-stripe"',
      ),
    });
    const { exitCode, found, text } = await diagnoseFiles();
    expect({ exitCode, check: found["plain secrets"] }).toMatchObject({
      exitCode: 1,
      check: { status: "error", message: expect.stringContaining("STRIPE_SECRET") },
    });
    expect(text).not.toContain("canary");
  });
});

test.each([
  "DATABASE_URL",
  "PYLON_SMTP_URL",
  "PYLON_OAUTH_GITHUB_CLIENT_SECRET",
  "PYLON_OAUTH_APPLE_PRIVATE_KEY",
  "STRIPE_API_KEY",
  "BOT_TOKEN",
  "LEGACY_PASSWORD",
])("%s in PYLON_VARIABLES is an error", async (name) => {
  // The infra/settings.ts of a version before it checked them itself.
  folder.write({
    "sst.config.ts": "createDatabase(",
    "infra/settings.ts":
      'export const readSettings = () => ({ domain: "a.example.com", corsOrigin: ' +
      `"https://a.example.com", secrets: [], variables: { ${name}: "canary-of-it", ` +
      'PYLON_OAUTH_APPLE_KEY_ID: "1" } });',
  });
  const { found, text } = await diagnose();
  const { status, message } = found["plain secrets"] ?? expect.unreachable("nobody looked");
  expect({ status, message }).toEqual({ status: "error", message: expect.stringContaining(name) });
  expect(message).not.toContain("KEY_ID");
  expect(text).not.toContain("canary-of-it");
});

const infra = join(import.meta.dir, "..", "..", "..", "..", "deploy", "sst");
/** The definitions of stages for infra/settings.ts, as `pylon deploy` writes them. */
const STAGES = Object.fromEntries(
  ["infra/stages.ts", "pylon.stages.ts"].map((file) => [
    file,
    readFileSync(join(infra, file), "utf8"),
  ]),
);

test("the names that infra/ reads are known", async () => {
  folder.write({
    "sst.config.ts": "createDatabase(",
    "infra/settings.ts":
      `${readFileSync(join(infra, "infra", "settings.ts"), "utf8")}\n` + "// PYLON_OF_MY_INFRA\n",
    ...STAGES,
  });
  folder.write({ ".env": "PYLON_DOMAIN=example.com\n" });
  const env = {
    PYLON_DOMAIN: "example.com",
    PYLON_DNS: "aws",
    PYLON_ALARM_EMAIL: "a@example.com",
    PYLON_VARIABLES: "PYLON_OF_MY_INFRA,PYLON_OF_NOBODY",
    PYLON_OF_MY_INFRA: "1",
    PYLON_OF_NOBODY: "2",
  };
  const { message } =
    (await diagnose(env)).found["names"] ?? expect.unreachable("names were not looked at");
  expect(message).toContain("Unknown variables: PYLON_OF_NOBODY.");
  const { stdout } = await pylon(["doctor", "--json"], folder.path, env);
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  expect(checks.find(({ name }) => name === "names")?.message).toBe(message);
});

test("with an sst.config.ts the stage's settings are checked, and gaps are named", async () => {
  folder.write({
    "sst.config.ts": readFileSync(join(infra, "sst.config.redis.ts"), "utf8"),
    "infra/settings.ts": readFileSync(join(infra, "infra", "settings.ts"), "utf8"),
    ...STAGES,
  });
  const none = Object.fromEntries(Object.keys(GOOD).map((name) => [name, ""]));
  expect((await diagnose(none)).found["settings"]).toMatchObject({
    status: "error",
    message: expect.stringContaining("Set the domain of the stage"),
  });
  folder.write({
    ".env": "PYLON_DOMAIN=example.com\n",
    ".env.staging":
      "PYLON_DOMAIN=api.example.com\nPYLON_VARIABLES=PYLON_COOKIE_SECURE\nPYLON_COOKIE_SECURE=0\n",
  });
  const { found, trouble } = await diagnose(none, "--stage", "staging");
  expect(found["public URL"]?.message).toBe("https://staging.api.example.com");
  expect(trouble).toEqual(["stage warning", "cookies error", "mail warning"]);
  expect(found["stage"]?.message).toContain("PYLON_DOMAIN, PYLON_VARIABLES");
});

test("S6: the stages of pylon.stages.ts are checked, and differences are named", async () => {
  folder.write({
    "sst.config.ts": readFileSync(join(infra, "sst.config.redis.ts"), "utf8"),
    "infra/settings.ts": readFileSync(join(infra, "infra", "settings.ts"), "utf8"),
    ...STAGES,
    "pylon.stages.ts":
      "export default { production: { " + 'domain: "api.example.com", region: "eu-central-1" } };',
  });
  const none = Object.fromEntries(Object.keys(GOOD).map((name) => [name, ""]));
  const { found } = await diagnose({ ...none, PYLON_DOMAIN: "second.example.com" });
  expect(found["public URL"]?.message).toBe("https://api.example.com");
  expect(found["stage"]).toMatchObject({
    status: "warning",
    message: expect.stringContaining("second.example.com"),
  });
  expect((await diagnose(none, "--stage", "prod")).found["settings"]).toMatchObject({
    status: "error",
    message: expect.stringContaining('There is no stage "prod"'),
  });
});

/**
 * Every file of the folder with its contents, except for the index in which readers of SQLite also
 * keep their locks.
 */
function snapshot(): unknown {
  return readdirSync(folder.path, { recursive: true, withFileTypes: true })
    .filter(({ name }) => !name.endsWith("-shm"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [
        path,
        statSync(path).mtimeMs,
        entry.isFile() ? readFileSync(path).toString("base64") : null,
      ];
    });
}
