import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pylon, TempFolder } from "../testing/pylon-process.ts";
import type { Check } from "./check.ts";

const SECRETS = { PYLON_ADMIN_TOKEN: "0d4f7a1c9b3e5d6f8a2c4b6e8d0f1a3c", PYLON_SSO_ENCRYPTION_KEY: "9b3e5d6f8a2c4b6e8d0f1a3c0d4f7a1c" };
const GOOD: Readonly<Record<string, string>> = {
  ...SECRETS,
  PYLON_CORS_ORIGIN: "https://app.example.com",
  PYLON_PUBLIC_URL: "https://api.example.com",
  PYLON_TRUST_PROXY_HOPS: "1",
  PYLON_EMAIL_PROVIDER: "ses",
  PYLON_EMAIL_FROM: "hi@example.com",
};

function app(extra = "", entities = '[entity("User", { email: field.string() }), entity("Note", { text: field.string() })]'): string {
  return `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({ name: "shop", version: "1.0.0", entities: ${entities},
  policies: [policy({ name: "u", entity: "User", allow: "auth.userId == data.id" }), policy({ name: "n", entity: "Note", allow: "auth.userId != null" })], ${extra} });
`;
}

let folder: TempFolder;
beforeEach(() => {
  folder = new TempFolder();
  folder.write({ "app.ts": app(), "package.json": '{"devDependencies":{"@pylonsync/cli":"0.1.0"}}', "package-lock.json": "{}" });
});
afterEach(() => folder[Symbol.dispose]());

async function diagnose(env: Readonly<Record<string, string>> = {}, ...args: string[]): Promise<{ readonly exitCode: number; readonly text: string; readonly found: Readonly<Record<string, Check>>; readonly trouble: string[] }> {
  const { exitCode, stdout, stderr } = await pylon(["doctor", "--production", "--json", ...args], folder.path, { ...GOOD, ...env });
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return { exitCode, text: stdout + stderr, found: Object.fromEntries(checks.map((check) => [check.name, check])), trouble: checks.filter(({ status }) => status !== "pass").map(({ name, status }) => `${name} ${status}`) };
}

test("an app that is ready passes every check, and nothing is changed", async () => {
  const before = snapshot();
  expect(await diagnose()).toMatchObject({ exitCode: 0, trouble: [] });
  expect(snapshot()).toEqual(before);
});

test.each<[string, Record<string, string>, string]>([
  ["dev mode error", { PYLON_DEV_MODE: "1" }, "Take it out"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "" }, "pylon secrets generate"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "sixteen-letters-" }, "fewer than 32"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "please-change-me-please-change-me-now" }, "tried first"],
  ["admin token error", { PYLON_ADMIN_TOKEN: "ababababababababababababababababab" }, "few different"],
  ["encryption key error", { PYLON_SSO_ENCRYPTION_KEY: "" }, "the app has users"],
  ["encryption key error", { PYLON_SSO_ENCRYPTION_KEY: "this-is-a-secret-for-everybody-to-read" }, "tried first"],
  ["JWT secret error", { PYLON_JWT_SECRET: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }, "few different"],
  ["OAuth error", { PYLON_OAUTH_GITHUB_CLIENT_ID: "abc" }, "PYLON_OAUTH_GITHUB_CLIENT_SECRET is not set"],
  ["CORS error", { PYLON_CORS_ORIGIN: "" }, "is not set"],
  ["CORS error", { PYLON_CORS_ORIGIN: "*" }, "has a *"],
  ["CORS error", { PYLON_CORS_ORIGIN: "https://a.example.com,http://b.example.com" }, "http://b.example.com"],
  ["public URL error", { PYLON_PUBLIC_URL: "" }, "is not set"],
  ["public URL error", { PYLON_PUBLIC_URL: "http://api.example.com" }, "wants https"],
  ["cookies error", { PYLON_COOKIE_SECURE: "0" }, "take it out"],
  ["proxies warning", { PYLON_TRUST_PROXY_HOPS: "0" }, "how many stand in front"],
  ["proxies warning", { PYLON_TRUST_PROXY_HOPS: "7" }, "callers choose"],
  ["mail warning", { PYLON_EMAIL_PROVIDER: "", PYLON_EMAIL_FROM: "" }, "PYLON_EMAIL_PROVIDER"],
  ["configuration error", { PYLON_DRAIN_SECS: "soon" }, "PYLON_DRAIN_SECS"],
  ["database TLS error", { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop" }, "sslmode=require"],
  ["redis warning", { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop?sslmode=require" }, "rate limits and ctx.cache count for each alone; rooms go through Postgres"],
  ["files warning", { DATABASE_URL: "postgres://u:canary-password@db.example.invalid/shop?sslmode=require" }, "PYLON_FILES_PROVIDER=s3"],
  ["files error", { PYLON_FILES_PROVIDER: "s3" }, "PYLON_S3_BUCKET"],
  ["migration warning", { DATABASE_URL: "postgres://u:canary-password@localhost:1/shop" }, "can't be reached from here"],
])("%s: %j", async (trouble, env, message) => {
  const { text, trouble: all, found, exitCode } = await diagnose(env);
  expect(all).toContain(trouble);
  expect(found[trouble.replace(/ \w+$/, "")]?.message).toContain(message);
  expect(exitCode).toBe(all.some((entry) => entry.endsWith(" error")) ? 1 : 0);
  const secrets = Object.entries({ ...GOOD, ...env }).filter(([name, value]) => /TOKEN|KEY|SECRET/.test(name) && value.length > 10).map(([, value]) => value);
  for (const secret of [...secrets, "canary-password"]) expect(text).not.toContain(secret);
});

describe("what lies in the folder", () => {
  test.each<[string, Record<string, string>, string]>([
    ["policies warning", { "app.ts": app("", '[entity("User", { email: field.string() }), entity("Note", { text: field.string() }), entity("Open", { a: field.string() })]') }, "No policy names Open"],
    ["policies warning", { "app.ts": app('access: "public",') }, "everyone may read and write"],
    ["plugins error", { "app.ts": app('plugins: [{ name: "file_storage", config: { bucket: "${env.MY_BUCKET}" } }],') }, "MY_BUCKET"],
    ["app error", { "app.ts": "export default (;" }, ""],
    ["versions warning", { "package.json": '{"devDependencies":{"@pylonsync/cli":"^0.1.0"}}' }, "exact version"],
    [".env in the image error", { Dockerfile: "FROM scratch", ".env.production": "", ".dockerignore": ".env\n" }, ".env.production"],
    [".env in the image error", { Dockerfile: "FROM scratch", ".dockerignore": ".env*\n!.env\n" }, "lets .env into"],
  ])("%s", async (trouble, files, message) => {
    folder.write(files);
    const { trouble: all, found } = await diagnose();
    expect(all).toContain(trouble);
    expect(found[trouble.replace(/ \w+$/, "")]?.message).toContain(message);
  });

  test("no lock file", async () => {
    using empty = new TempFolder();
    empty.write({ "app.ts": app(), "package.json": "{}" });
    const { stdout } = await pylon(["doctor", "--production", "--json", empty.path], folder.path, GOOD);
    expect(JSON.parse(stdout)).toMatchObject({ checks: expect.arrayContaining([expect.objectContaining({ name: "lock file", status: "error" })]) });
  });

  test(".env in git is an error; an example of one is not", async () => {
    folder.write({ ".env": "A=b", ".env.example": "A=" });
    for (const args of [["init", "-q"], ["add", ".env.example"]]) spawnSync("git", args, { cwd: folder.path });
    expect((await diagnose()).trouble).toEqual([]);
    spawnSync("git", ["add", "-f", ".env"], { cwd: folder.path });
    expect((await diagnose()).found[".env in git"]).toMatchObject({ status: "error", message: expect.stringContaining("git rm --cached") });
  });

  test("a migration that would lose data is an error, what the app has no more a warning, seen without touching the database", async () => {
    const env = { PYLON_DB_PATH: join(folder.path, "data", "shop.db") };
    expect((await pylon(["migrate", "apply", "--yes"], folder.path, env)).exitCode).toBe(0);
    expect((await diagnose(env)).trouble).toEqual([]);
    const found = async (fields: string): Promise<unknown> => {
      folder.write({ "app.ts": app("", `[entity("User", { email: field.string() }), entity("Note", { ${fields} })]`) });
      const before = snapshot();
      const { migration } = (await diagnose(env)).found;
      expect(snapshot()).toEqual(before);
      return migration;
    };
    expect(await found("words: field.string().optional()")).toMatchObject({ status: "warning", message: expect.stringContaining("keeps it (drop Note.text") });
    expect(await found("text: field.int()")).toMatchObject({ status: "error", message: expect.stringContaining("change Note.text") });
  });
});

test(".env.production is read, .env is not, and the process wins", async () => {
  folder.write({ ".env.production": "PYLON_TRUST_PROXY_HOPS=9\nPYLON_COOKIE_SECURE=0\n", ".env": "PYLON_DEV_MODE=1\n" });
  expect((await diagnose()).trouble).toEqual(["cookies error"]);
});

test("with an sst.config.ts the stage's own settings are checked, and what it lacks is named", async () => {
  const infra = join(import.meta.dir, "..", "..", "..", "..", "deploy", "sst");
  folder.write({ "sst.config.ts": readFileSync(join(infra, "sst.config.redis.ts"), "utf8"), "infra/settings.ts": readFileSync(join(infra, "infra", "settings.ts"), "utf8") });
  const none = Object.fromEntries(Object.keys(GOOD).map((name) => [name, ""]));
  expect((await diagnose(none)).found["settings"]).toMatchObject({ status: "error", message: expect.stringContaining("PYLON_DOMAIN") });
  folder.write({ ".env": "PYLON_DOMAIN=example.com\n", ".env.staging": "PYLON_DOMAIN=api.example.com\nPYLON_VARIABLES=PYLON_COOKIE_SECURE\nPYLON_COOKIE_SECURE=0\n" });
  const { found, trouble } = await diagnose(none, "--stage", "staging");
  expect(found["public URL"]?.message).toBe("https://staging.api.example.com");
  expect(trouble).toEqual(["cookies error", "mail warning"]);
});

/** Every file of the folder with what changes when it is written, but for the index in which readers of SQLite too keep their locks. */
function snapshot(): unknown {
  return readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter(({ name }) => !name.endsWith("-shm")).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path, statSync(path).mtimeMs, entry.isFile() ? readFileSync(path).toString("base64") : null];
  });
}
