import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noteApp, pylon, queryOf, TempFolder } from "./testing/pylon-process.ts";

test("version prints the version, as JSON too", async () => {
  using folder = new TempFolder();
  expect(await pylon(["version"], folder.path)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^pylon \d+\.\d+\.\d+\n$/),
  });
  expect(JSON.parse((await pylon(["--version", "--json"], folder.path)).stdout)).toEqual({
    version: expect.any(String),
  });
});

test.each([["-v"], ["-V"], ["--version"], ["version"]])(
  "U: pylon %s prints the version",
  async (flag) => {
    using folder = new TempFolder();
    expect(await pylon([flag], folder.path)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^pylon \d+\.\d+\.\d+\n$/),
    });
  },
);

test("U: help COMMAND prints the help of the command, and suggests similar names", async () => {
  using folder = new TempFolder();
  const help = await pylon(["help", "dev"], folder.path);
  expect(help).toEqual(await pylon(["dev", "--help"], folder.path));
  expect(help.stdout).toContain("--host ADDRESS");
  const wrong = await pylon(["help", "deev"], folder.path);
  expect([wrong.exitCode, wrong.stderr]).toEqual([64, expect.stringContaining('"dev"')]);
});

test.each([
  [["dev", "--host"], "--host needs a value: --host ADDRESS."],
  [["dev", "--port", "--once"], "--port needs a value: --port N."],
  [["schema", "lint"], 'Unknown command "schema". Use `pylon migrate plan`'],
  [["plugins", "search"], "listed in buildManifest"],
  [["cache"], "Specify an action: `pylon cache get|set|delete KEY`"],
  [["cache", "set", "k", "{a"], "The value is not JSON"],
  [["codegen", "client", "app.ts", "--target", "swift"], "GET /api/openapi.json"],
  [["init", "a", "--frontend", "next"], "see docs/nextjs.md"],
  [["init", "a", "--frontend", "react", "--template", "basic"], "use --template todo"],
  [["init", "a", "--bun"], "Every app runs on Bun"],
  [["migrate", "plan", "--rename-column", "Note.a:b"], "renamedFrom"],
  [["schema", "push", "--sqlite", "a.db"], "PYLON_DB_PATH"],
  [["seed", "--port", "4321"], "--url"],
  [["migrate", "create"], "A data migration needs a name"],
  [["migrate", "create", "../x"], "is not a valid name for a data migration"],
  [["migrate", "paln"], 'Unknown action or folder "paln". Did you mean "plan"?'],
])("U: pylon %j prints its usage", async (args, message) => {
  using folder = new TempFolder();
  const { exitCode, stderr } = await pylon(args, folder.path);
  expect([exitCode, stderr]).toEqual([64, expect.stringContaining(message)]);
});

test("build checks the app and bundles its page, and fails if it can't", async () => {
  using folder = new TempFolder();
  expect((await pylon(["init", "shop", "--no-prompt"], folder.path)).exitCode).toBe(0);
  folder.write({ "shop/web/index.html": '<script type="module" src="./a.ts"></script>' });
  folder.write({ "shop/web/a.ts": "document.title = 'a';" });
  const built = await pylon(["build", "shop/app.ts", "--json"], folder.path);
  expect(JSON.parse(built.stdout)).toMatchObject({
    code: "BUILD_OK",
    name: "shop",
    files: expect.arrayContaining(["/"]),
  });
  folder.write({ "shop/web/a.ts": "import './missing.ts';" });
  expect(await pylon(["build", "shop"], folder.path)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("missing.ts"),
  });
  folder.write({ "shop/app.ts": "export default 1;" });
  expect((await pylon(["build", "shop"], folder.path)).exitCode).toBe(1);
});

test("commands of the public system are mapped to those of this one", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  for (const action of ["check", "diff", "inspect", "history"])
    expect(await pylon(["schema", action, "app.ts"], folder.path)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("Note"),
    });
  const read = (file: string): string => readFileSync(join(folder.path, file), "utf8");
  const out = "src/gen/client.ts";
  folder.write({ "src/gen/keep": "" });
  expect(
    (await pylon(["codegen", "client", "app.ts", "--target", "ts", "--out", out], folder.path))
      .exitCode,
  ).toBe(0);
  expect(read(out)).toContain('export * from "../../pylon.client.ts"');
  expect(read("pylon.client.ts")).toContain("export interface Note");
  folder.write({ "old/app.ts": "// mine", "old/notes.md": "kept" });
  expect((await pylon(["init", "old"], folder.path)).stderr).toContain("--overwrite");
  await pylon(["init", "old", "--overwrite", "--frontend", "react"], folder.path);
  expect(read("old/app.ts")).toContain("buildManifest");
  expect(read("old/notes.md")).toBe("kept");
});

test("init with a React frontend writes its page, and never asks", async () => {
  using folder = new TempFolder();
  const filesOf = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await pylon(["init", ...args, "--json"], folder.path);
    return (JSON.parse(stdout) as Record<string, unknown>)["files"];
  };
  expect(await filesOf("shop", "--frontend", "react", "-y")).toContain("web/index.html");
  expect(await filesOf("api", "--frontend", "none", "--yes")).not.toContain("web/index.html");
});

test("U: init in the current folder says so, and dev --once reports a valid app", async () => {
  using folder = new TempFolder();
  const { stdout } = await pylon(["init", "."], folder.path);
  expect(stdout).toContain("in this folder.");
  expect((await pylon(["dev", "--once"], folder.path)).stdout).toContain(" is valid: ");
});

test.each(["dev", "start"])(
  "U: %s explains what is wrong with --port and --host",
  async (command) => {
    using folder = new TempFolder();
    folder.write({ "app.ts": noteApp("text: field.string()") });
    for (const [flags, message] of [
      [["--port", "abc"], '--port is "abc"'],
      [["--port", "70000"], '--port is "70000"'],
      [["--host", ""], "--host is empty"],
    ] as const) {
      const { exitCode, stderr } = await pylon([command, ...flags], folder.path);
      expect([flags, exitCode, stderr]).toEqual([flags, 64, expect.stringContaining(message)]);
    }
    const { exitCode, stderr } = await pylon(
      [command, "--port", "0", "--host", "203.0.113.1"],
      folder.path,
    );
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('"203.0.113.1" is not an address of this machine'),
    ]);
  },
);

test.each([[[]], [["--help"]], [["help"]]])("pylon %j prints every command", async (args) => {
  using folder = new TempFolder();
  const { exitCode, stdout } = await pylon(args, folder.path);
  expect(exitCode).toBe(0);
  for (const command of ["init", "dev", "start", "migrate", "codegen", "version", "doctor"])
    expect(stdout).toContain(`  ${command}`);
});

test("every command prints its usage, and rejects unknown arguments", async () => {
  using folder = new TempFolder();
  const { commands } = JSON.parse((await pylon(["--help", "--json"], folder.path)).stdout) as {
    commands: { name: string; usage: string }[];
  };
  expect(commands.length).toBeGreaterThan(12);
  for (const { name, usage } of commands) {
    const help = await pylon([name, "--help"], folder.path);
    expect(help).toMatchObject({ exitCode: 0, stderr: "" });
    expect(help.stdout).toContain(`pylon ${usage}`);
    const { options } = JSON.parse(
      (await pylon([name, "--help", "--json"], folder.path)).stdout,
    ) as { options: Record<string, unknown> };
    for (const option of Object.keys(options)) expect(help.stdout).toContain(`--${option}`);
    const refused = await pylon([name, "--no-such-flag"], folder.path);
    expect({ name, exitCode: refused.exitCode, stderr: refused.stderr }).toEqual({
      name,
      exitCode: 64,
      stderr: expect.stringContaining(`\`pylon ${name}\` has no --no-such-flag`),
    });
    const surplus = await pylon(
      [name, ...Array.from({ length: usage.split(" ").length }, () => "x")],
      folder.path,
    );
    expect({ name, exitCode: surplus.exitCode, stderr: surplus.stderr }).toEqual({
      name,
      exitCode: 64,
      stderr: expect.stringContaining("Unexpected argument"),
    });
  }
  expect((await pylon(["start", "--once"], folder.path)).stderr).toContain("has no --once");
}, 240_000);

test("an unknown command is a usage error that names the nearest one", async () => {
  using folder = new TempFolder();
  const { exitCode, stderr } = await pylon(["docto"], folder.path);
  expect(exitCode).toBe(64);
  expect(stderr).toContain('Did you mean "doctor"?');
});

test.each([
  [["strat"], 64, "UNKNOWN_COMMAND"],
  [["dev", "--bogus"], 64, "USAGE"],
  [["dev"], 64, "DEV_NO_ENTRY"],
  [["dev", "nowhere"], 1, "DEV_ENTRY_NOT_FOUND"],
  [["start"], 64, "START_NO_ENTRY"],
  [["start", "nowhere"], 1, "START_ENTRY_NOT_FOUND"],
  [["codegen"], 64, "CODEGEN_NO_ENTRY"],
  [["init"], 64, "INIT_NO_PATH"],
  [["init", "no spaces"], 64, "INIT_INVALID_NAME"],
  [["init", "x", "--template", "nope"], 64, "INIT_UNKNOWN_TEMPLATE"],
])("pylon %j exits %d with %s as the one JSON value on stdout", async (args, exitCode, code) => {
  using folder = new TempFolder();
  const result = await pylon([...args, "--json"], folder.path);
  expect(result.exitCode).toBe(exitCode);
  expect(JSON.parse(result.stdout)).toMatchObject({ code, message: expect.any(String) });
});

test.each(["basic", "todo"])(
  "init --template %s creates an app that dev --once accepts",
  async (template) => {
    using folder = new TempFolder();
    const made = await pylon(["init", "my-app", "--template", template, "--json"], folder.path);
    expect(JSON.parse(made.stdout)).toMatchObject({ code: "INIT_OK", template });
    const checked = await pylon(["dev", "my-app", "--once", "--json"], folder.path);
    expect(JSON.parse(checked.stdout)).toMatchObject({
      code: "DEV_OK",
      name: "my-app",
      entry: "app.ts",
      entities: 1,
      functions: 1,
      queries: 0,
      actions: 0,
      routes: 0,
      warnings: 0,
      diagnostics: [],
    });
    expect(
      JSON.parse(readFileSync(join(folder.path, "my-app/pylon.manifest.json"), "utf8")),
    ).toMatchObject({ name: "my-app" });
    expect(readFileSync(join(folder.path, "my-app/pylon.client.ts"), "utf8")).toContain(
      'declare module "@pylonsync/sdk"',
    );
  },
);

test("HTTP functions and workflows are counted too", async () => {
  using folder = new TempFolder();
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "functions/one.ts": queryOf("1"),
    "functions/hooks/two.ts":
      'import { http } from "@pylonsync/functions";\n' +
      'export default http({ method: "GET", handler: () => new Response("2") });\n',
    "workflows/three.ts":
      'import { workflow } from "@pylonsync/workflows";\n' +
      'export default workflow("three", async () => 3);\n',
  });
  const { stdout } = await pylon(["dev", "--once"], folder.path);
  expect(stdout).toContain("functions: 2, workflows: 1");
  const checked = await pylon(["codegen", "--json"], folder.path);
  expect(JSON.parse(checked.stdout)).toMatchObject({ code: "CODEGEN_OK", functions: 2 });
});

test("U: init . creates the app in an empty folder, also in one with a repository", async () => {
  using folder = new TempFolder();
  folder.write({ "shop/.git/HEAD": "ref: refs/heads/main\n" });
  const dir = join(folder.path, "shop");
  const made = await pylon(["init", ".", "--json"], dir);
  expect(made).toMatchObject({ exitCode: 0, stderr: "" });
  expect(readdirSync(dir).toSorted()).toEqual(
    [
      ".git",
      ".gitignore",
      "app.ts",
      "env.d.ts",
      "functions",
      "package.json",
      "tsconfig.json",
    ].toSorted(),
  );
  expect(readFileSync(join(dir, "app.ts"), "utf8")).toContain('name: "shop"');
  expect((await pylon(["dev", "--once"], dir)).exitCode).toBe(0);
  const again = await pylon(["init", "."], dir);
  expect([again.exitCode, again.stderr]).toEqual([
    1,
    expect.stringContaining("not an empty folder"),
  ]);
});

test("init does not write into an existing folder", async () => {
  using folder = new TempFolder();
  folder.write({ "mine/app.ts": "precious" });
  const { exitCode, stderr } = await pylon(["init", "mine"], folder.path);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("already exists");
  expect(readFileSync(join(folder.path, "mine/app.ts"), "utf8")).toBe("precious");
});

test("dev --once fails on a file that does not load and names its line", async () => {
  using folder = new TempFolder();
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "functions/bad.ts": "const a = 1;\nexport default (;\n",
  });
  const { exitCode, stdout } = await pylon(["dev", "--once", "--json"], folder.path);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    code: "DEV_ERROR",
    diagnostics: [{ code: "FUNCTION_FAILED", path: "functions/bad.ts:2:17" }],
  });
});

test("dev --once fails on a policy that does not parse", async () => {
  using folder = new TempFolder();
  const app = noteApp("text: field.string()").replace(
    "version:",
    'policies: [{ name: "p", entity: "Note", allow: "data.nope ==" }], version:',
  );
  folder.write({ "app.ts": app });
  const { exitCode, stdout } = await pylon(["dev", "--once", "--json"], folder.path);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code: "DEV_ERROR" });
});

test("codegen writes the same files again without touching them", async () => {
  using folder = new TempFolder();
  folder.write({
    "app.ts": noteApp("text: field.string(), due: field.datetime().optional()"),
    "functions/hello.ts": queryOf("1"),
  });
  expect((await pylon(["codegen"], folder.path)).exitCode).toBe(0);
  const client = join(folder.path, "pylon.client.ts");
  const { lastModified } = Bun.file(client);
  expect(readFileSync(client, "utf8")).toContain("hello");
  await Bun.sleep(20);
  expect((await pylon(["codegen"], folder.path)).exitCode).toBe(0);
  expect(Bun.file(client).lastModified).toBe(lastModified);
});

test("doctor passes a valid app and fails an invalid configuration, naming the fix", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  const good = JSON.parse((await pylon(["doctor", "--json"], folder.path)).stdout) as {
    errors: number;
    checks: { name: string }[];
  };
  expect(good.errors).toBe(0);
  expect(good.checks.length).toBeGreaterThanOrEqual(6);
  const bad = await pylon(["doctor"], folder.path, { PYLON_CORS_ORIGIN: "*" });
  expect(bad.exitCode).toBe(1);
  expect(bad.stdout).toContain("PYLON_CORS_ORIGIN is *");
});
