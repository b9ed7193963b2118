import { expect, test } from "bun:test";
import { pylon, TempFolder, type Result } from "./testing/pylon-process.ts";

const SECRET = "canary-admin-token-of-this-test-0123";

async function env(args: readonly string[], own: Record<string, string> = {}): Promise<Result> {
  using folder = new TempFolder();
  folder.write({
    ".env": `PYLON_ADMIN_TOKEN=${SECRET}\nPYLON_PORT=5000\nPYLON_LOG_FORMAT=text\n`,
    ".env.local": "PYLON_PORT=6000\n",
  });
  return await pylon(["env", ...args], folder.path, own);
}

test("env shows what is set and from where, and no secret", async () => {
  const { exitCode, stdout, stderr } = await env([], {
    PYLON_LOG_FORMAT: "json",
    PYLON_OAUTH_ACME_CLIENT_SECRET: SECRET,
    DATABASE_URL: `postgres://pylon:${SECRET}@localhost/pylon`,
  });
  expect(exitCode).toBe(0);
  const line = (name: string): string =>
    stdout.split("\n").find((text) => text.startsWith(`${name} `)) ?? "";
  expect(line("PYLON_PORT")).toMatch(/ 6000 .*\.env\.local /);
  expect(line("PYLON_LOG_FORMAT")).toMatch(/ json +environment /);
  expect(line("PYLON_ADMIN_TOKEN")).toMatch(/ \(hidden\) .*\.env /);
  expect(line("PYLON_OAUTH_ACME_CLIENT_SECRET")).toContain("(hidden)");
  expect(line("DATABASE_URL")).toContain("(hidden)");
  expect(stdout).not.toContain("PYLON_DB_PATH");
  expect(stdout + stderr).not.toContain(SECRET);
});

test("env NAME and --all show what is not set, and warn of what nothing reads", async () => {
  const all = JSON.parse((await env(["--all", "--json"])).stdout) as {
    variables: { name: string; value: string | null; from: string | null; doc: string }[];
  };
  expect(all.variables.find(({ name }) => name === "PYLON_DB_PATH")).toMatchObject({
    value: null,
    from: null,
    doc: expect.stringMatching(/\w/),
  });
  const one = await env(["PYLON_DB_PATH"], { PYLON_PROT: "1", PYLON_MANIFEST: "x" });
  expect(one.stdout).toContain("PYLON_DB_PATH");
  expect(one.stderr).toContain("Nothing reads PYLON_PROT: did you mean PYLON_PORT?");
  expect(one.stderr).toContain("PYLON_MANIFEST is not read.");
});

test.each([
  ["NOTHING", "NOTHING is not a variable of Pylon."],
  ["PYLON_PROT", "PYLON_PROT is not a variable of Pylon. Did you mean PYLON_PORT?"],
  ["PYLON_MANIFEST", "PYLON_MANIFEST is not a variable of Pylon. Pass the app's folder"],
])("env %s fails and says so, also as JSON", async (name, message) => {
  const { exitCode, stdout, stderr } = await env([name]);
  expect([exitCode, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(message);
  const asJson = await env([name, "--json"]);
  expect([asJson.exitCode, asJson.stderr]).toEqual([1, ""]);
  expect(JSON.parse(asJson.stdout)).toMatchObject({
    code: "ENV_UNKNOWN",
    message: expect.stringContaining(message),
  });
});
