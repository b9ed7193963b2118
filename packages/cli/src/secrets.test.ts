import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { loadConfig } from "@pylonsync/server";
import { sstSecretName, variableOfSst } from "./settings/production-secrets.ts";
import { COMMAND, pylon, TempFolder } from "./testing/pylon-process.ts";

let folder: TempFolder;
beforeEach(() => {
  folder = new TempFolder();
});
afterEach(() => folder[Symbol.dispose]());

const read = (file: string): string => readFileSync(join(folder.path, file), "utf8");

test("generate fills .env.production with strong private values, and keeps others", async () => {
  folder.write({
    ".env.production":
      "# mine\nPYLON_ADMIN_TOKEN=the-one-i-had\nPYLON_SSO_ENCRYPTION_KEY=\nOTHER='a b'",
  });
  const { exitCode, stdout } = await pylon(["secrets", "generate", "--json"], folder.path);
  expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
    exitCode: 0,
    json: { code: "SECRETS_OK", made: ["PYLON_SSO_ENCRYPTION_KEY"], kept: ["PYLON_ADMIN_TOKEN"] },
  });
  const values = parseEnv(read(".env.production"));
  expect(values["PYLON_SSO_ENCRYPTION_KEY"]).toMatch(/^[0-9a-f]{64}$/);
  expect(values).toMatchObject({ PYLON_ADMIN_TOKEN: "the-one-i-had", OTHER: "a b" });
  expect(read(".env.production")).toStartWith("# mine\n");
  expect(stdout).not.toContain(values["PYLON_SSO_ENCRYPTION_KEY"] ?? "none");
  expect(statSync(join(folder.path, ".env.production")).mode & 0o777).toBe(0o600);
  expect(read(".gitignore")).toContain(".env.*");
  const again = read(".env.production");
  await pylon(["secrets", "generate"], folder.path);
  expect(read(".env.production")).toBe(again);
});

test("a readable file is made private, and --show prints the generated values", async () => {
  folder.write({ ".env.production": "A=b\n" });
  chmodSync(join(folder.path, ".env.production"), 0o644);
  const { stdout } = await pylon(["secrets", "generate", "--show"], folder.path);
  expect(stdout).toContain(
    `PYLON_ADMIN_TOKEN=${parseEnv(read(".env.production"))["PYLON_ADMIN_TOKEN"] ?? "none"}`,
  );
  expect(statSync(join(folder.path, ".env.production")).mode & 0o777).toBe(0o600);
});

test("a path that can't be written is named, and nothing is left beside it", async () => {
  folder.write({ ".env.production/in-the-way": "" });
  const { exitCode, stdout } = await pylon(["secrets", "generate", "--json"], folder.path);
  expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
    exitCode: 1,
    json: { code: "SECRETS_WRITE_FAILED" },
  });
  expect(readdirSync(folder.path)).toEqual([".env.production"]);
});

const PLAIN = [
  "canary-value",
  'with space and "quotes"',
  "it's",
  "smtps://u:p%40ss@mail.example.com:465",
  "a=b,c;d&e?f!g*h(i)|j<k>l~m",
  "§",
];
const QUOTED = [
  'with space and $HOME and "quotes"',
  " leads and trails ",
  "'in quotes'",
  "it's $5 more",
];

test.each([...PLAIN, ...QUOTED])(
  "set reads %j from standard input and list shows no value",
  async (value) => {
    const quoted = QUOTED.includes(value);
    if (value === "it's $5 more") {
      const { exitCode, stdout } = await pylon(
        ["secrets", "set", "PYLON_SMTP_URL", "--json"],
        folder.path,
        {},
        COMMAND,
        `${value}\n`,
      );
      expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
        exitCode: 1,
        json: { code: "SECRETS_INVALID_VALUE" },
      });
      return;
    }
    const { exitCode, stdout, stderr } = await pylon(
      ["secrets", "set", "PYLON_SMTP_URL"],
      folder.path,
      {},
      COMMAND,
      `${value}\n`,
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: quoted ? expect.stringContaining("`docker run --env-file` treats the quotes") : "",
    });
    expect(parseEnv(read(".env.production"))).toEqual({ PYLON_SMTP_URL: value });
    // The value that `docker run` reads from the line.
    if (!quoted) expect(read(".env.production").trimEnd()).toBe(`PYLON_SMTP_URL=${value}`);
    const listed = await pylon(["secrets", "list"], folder.path);
    expect(listed.stdout).toContain("set     PYLON_SMTP_URL");
    expect(listed.stdout).toContain("missing PYLON_ADMIN_TOKEN");
    expect(stdout + stderr + listed.stdout).not.toContain(value);
  },
);

test("a private key is written in one line, as Docker and the server accept it", async () => {
  const pem = "-----BEGIN PRIVATE KEY-----\nMIGH+/8=\n-----END PRIVATE KEY-----\n";
  const name = "PYLON_OAUTH_APPLE_PRIVATE_KEY";
  const { exitCode, stderr } = await pylon(["secrets", "set", name], folder.path, {}, COMMAND, pem);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining("systemd would drop the backslashes"),
  });
  const line = read(".env.production").trimEnd();
  expect(line).toBe(`${name}=-----BEGIN PRIVATE KEY-----\\nMIGH+/8=\\n-----END PRIVATE KEY-----`);
  const value = line.slice(name.length + 1);
  const apple = loadConfig({
    [name]: value,
    PYLON_OAUTH_APPLE_CLIENT_ID: "a",
    PYLON_OAUTH_APPLE_TEAM_ID: "b",
    PYLON_OAUTH_APPLE_KEY_ID: "c",
  }).oauth[0]?.secret;
  expect(apple).toMatchObject({ kind: "apple", privateKey: pem.trimEnd() });
  const other = await pylon(["secrets", "set", "PEM", "--json"], folder.path, {}, COMMAND, pem);
  expect({ exitCode: other.exitCode, json: JSON.parse(other.stdout) as unknown }).toMatchObject({
    exitCode: 1,
    json: { code: "SECRETS_INVALID_VALUE", message: expect.stringContaining("\\n") },
  });
});

test("if only systemd's file exists, it is filled, in its own syntax", async () => {
  folder.write({ ".env.systemd": "A=b\n" });
  const { exitCode, stdout, stderr } = await pylon(
    ["secrets", "set", "APP_KEY", "--json"],
    folder.path,
    {},
    COMMAND,
    "back\\slash $5",
  );
  expect({ exitCode, stderr, json: JSON.parse(stdout) as unknown }).toMatchObject({
    exitCode: 0,
    stderr: "",
    json: { place: ".env.systemd" },
  });
  expect(read(".env.systemd")).toBe("A=b\nAPP_KEY='back\\slash $5'\n");
  expect(existsSync(join(folder.path, ".env.production"))).toBe(false);
});

test("list has what set has just stored, and no settings", async () => {
  folder.write({
    ".env.production": "PYLON_PUBLIC_URL=https://a.example.com\nPYLON_OAUTH_GITHUB_CLIENT_ID=1\n",
  });
  const stored = ["PYLON_OAUTH_ACME_CLIENT_SECRET", "STRIPE_KEY", "MY_OWN"];
  for (const name of stored)
    await pylon(["secrets", "set", name], folder.path, {}, COMMAND, "value");
  const { stdout } = await pylon(["secrets", "list", "--json"], folder.path);
  expect(
    (JSON.parse(stdout) as { secrets: { name: string; set: boolean }[] }).secrets
      .filter(({ set }) => set)
      .map(({ name }) => name),
  ).toEqual(stored);
});

test.each<[string[], string, string]>([
  [[], "USAGE", ""],
  [["forget"], "USAGE", ""],
  [["set"], "SECRETS_NO_NAME", "x"],
  [["set", "lower"], "SECRETS_INVALID_NAME", "x"],
  [["set", "PYLON_SMTP_URL"], "SECRETS_NO_VALUE", ""],
  [["set", "PYLON_SMTP_URL"], "SECRETS_INVALID_VALUE", "two\nlines"],
  [["generate", "PYLON_SMTP_URL"], "SECRETS_NOT_RANDOM", ""],
  [["generate", "--target", "vault"], "SECRETS_INVALID_TARGET", ""],
  [["generate", "--stage", "production"], "USAGE", ""],
  [["generate", "--target", "sst", "--stage", "no_stage"], "SECRETS_INVALID_STAGE", ""],
  [["generate", "--target", "sst"], "SST_MISSING", ""],
  [["generate", "--dir", "nowhere"], "SECRETS_NO_DIR", ""],
])("secrets %j fails with %s and writes nothing", async (args, code, stdin) => {
  const { exitCode, stdout } = await pylon(
    ["secrets", ...args, "--json"],
    folder.path,
    {},
    COMMAND,
    stdin,
  );
  expect(exitCode).not.toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ code });
  expect(existsSync(join(folder.path, ".env.production"))).toBe(false);
});

test("for sst each value is passed by standard input to the secret that is used", async () => {
  // A stand-in at the path of the app's SST: the real one first requests the list from AWS.
  folder.write({
    "sst.config.ts": "",
    ".env": "PYLON_SECRETS=PYLON_ADMIN_TOKEN\n",
    ".env.staging": "PYLON_SECRETS=PYLON_JWT_SECRET,PYLON_SMTP_URL\n",
    "node_modules/.bin/sst":
      '#!/bin/sh\necho "$@" >> calls\n[ "$2" = list ] && echo ' +
      '"PylonAdminToken=canary-of-sst" && exit 0\ncat >> "value-$3"\n',
  });
  chmodSync(join(folder.path, "node_modules/.bin/sst"), 0o755);
  const { exitCode, stdout, stderr } = await pylon(
    ["secrets", "generate", "--stage", "staging"],
    folder.path,
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(read("calls")).toBe(
    "secret list --stage staging\nsecret set PylonSsoEncryptionKey --stage staging\nsecret " +
      "set PylonJwtSecret --stage staging\n",
  );
  expect(read("value-PylonJwtSecret")).toMatch(/^[0-9a-f]{64}$/);
  expect(stdout).not.toContain("canary-of-sst");
  expect(existsSync(join(folder.path, "value-PylonAdminToken"))).toBe(false);
});

test("S2: for sst a stage without secrets is empty; any other failure is shown", async () => {
  const stand = (complaint: string): void => {
    folder.write({
      "sst.config.ts": "",
      "node_modules/.bin/sst":
        `#!/bin/sh\n[ "$2" = list ] && echo "${complaint}" >&2 && exit 1\n` + 'cat > "value-$3"\n',
    });
    chmodSync(join(folder.path, "node_modules/.bin/sst"), 0o755);
  };
  stand("✕  No secrets found");
  expect(await pylon(["secrets", "generate", "--stage", "new"], folder.path)).toMatchObject({
    exitCode: 0,
    stderr: "",
  });
  expect(read("value-PylonAdminToken")).toMatch(/^[0-9a-f]{64}$/);
  stand("✕  No secrets found, because the credentials have expired");
  const refused = await pylon(["secrets", "list", "--stage", "new"], folder.path);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain("credentials have expired");
});

test("for sst list has what set stored, and that PYLON_SECRETS must name it", async () => {
  folder.write({
    "sst.config.ts": "",
    ".env": "PYLON_SECRETS=PYLON_SMTP_URL\n",
    "node_modules/.bin/sst":
      '#!/bin/sh\n[ "$2" = list ] && cat stored && exit 0\necho "$3=$(cat)" >> stored\n',
    stored: "# comment\nOdd_Name=1\n",
  });
  chmodSync(join(folder.path, "node_modules/.bin/sst"), 0o755);
  const set = async (name: string): Promise<{ notes: string[] }> =>
    JSON.parse(
      (
        await pylon(
          ["secrets", "set", name, "--stage", "staging", "--json"],
          folder.path,
          {},
          COMMAND,
          "canary",
        )
      ).stdout,
    ) as { notes: string[] };
  expect((await set("PYLON_OAUTH_GITHUB_CLIENT_SECRET")).notes).toEqual([
    "No server receives it yet: add it to .env or .env.staging, as " +
      "PYLON_SECRETS=PYLON_SMTP_URL,PYLON_OAUTH_GITHUB_CLIENT_SECRET, and deploy.",
  ]);
  expect((await set("PYLON_SMTP_URL")).notes).toEqual([]);
  expect((await set("PYLON_ADMIN_TOKEN")).notes).toEqual([]);
  const { stdout } = await pylon(["secrets", "list", "--stage", "staging"], folder.path);
  for (const name of [
    "set     PYLON_OAUTH_GITHUB_CLIENT_SECRET",
    "set     PYLON_SMTP_URL",
    "set     PYLON_ADMIN_TOKEN",
    "missing PYLON_SSO_ENCRYPTION_KEY",
    "set     Odd_Name",
  ])
    expect(stdout).toContain(name);
  expect(stdout).not.toContain("canary");
});

test("secrets are named as deploy/sst/infra/parameters.ts names them", async () => {
  // By a computed path: its types are those of SST's platform, which is not installed here.
  const { secretValues } = (await import(
    join(import.meta.dir, "../../../deploy/sst/infra/parameters.ts")
  )) as { secretValues: (settings: { secrets: readonly string[] }) => unknown };
  const asked: string[] = [];
  class Secret {
    readonly value = "";
    constructor(name: string) {
      asked.push(name);
    }
  }
  const names = [
    "PYLON_ADMIN_TOKEN",
    "PYLON_SSO_ENCRYPTION_KEY",
    "PYLON_OAUTH_GITHUB_CLIENT_SECRET",
    "DATABASE_URL",
  ];
  Object.assign(globalThis, { sst: { Secret } });
  secretValues({ secrets: names });
  Reflect.deleteProperty(globalThis, "sst");
  expect(asked).toEqual(names.map(sstSecretName));
  expect(asked.map(variableOfSst)).toEqual(names);
});
