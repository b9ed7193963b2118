import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TempFolder } from "../packages/cli/src/testing/pylon-process.ts";
import { debianProgram } from "../tests/support/servers/debian.ts";

const SCRIPT = join(import.meta.dir, "install.sh");
const HOST = `pylon-${process.platform}-${process.arch}`;
const folder = new TempFolder();
const release = join(folder.path, "release");
/** A server of releases; tests replace its response for a path. */
let server: Bun.Server<undefined>;
let answers: ReadonlyMap<string, () => Response> = new Map();
let tests = 0;

beforeAll(async () => {
  const build = Bun.spawn(
    [
      "node",
      join(import.meta.dir, "..", "scripts", "build-release.mjs"),
      "--url",
      "https://downloads.example.com/pylon",
      release,
      HOST.replace("pylon-", ""),
    ],
    { stdout: "ignore", stderr: "inherit" },
  );
  expect(await build.exited).toBe(0);
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch({ url }) {
      const [, version, name = ""] = new URL(url).pathname.split("/");
      const file = join(release, name);
      return (
        answers.get(name)?.() ??
        (version === "v0.1.0" && existsSync(file)
          ? new Response(Bun.file(file))
          : new Response("", { status: 404 }))
      );
    },
  });
}, 60_000);

afterAll(async () => {
  await server.stop(true);
  folder[Symbol.dispose]();
});

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly home: string;
}

/** Runs the script with `sh`, from stdin as in the docs, with a temporary home folder. */
async function install(
  env: Readonly<Record<string, string>> = {},
  script = readFileSync(SCRIPT, "utf8"),
): Promise<Outcome> {
  const home = join(folder.path, `home-${(tests += 1)}`);
  mkdirSync(join(home, "tmp"), { recursive: true });
  const child = Bun.spawn(["sh"], {
    stdin: new Blob([script]),
    stdout: "pipe",
    stderr: "pipe",
    env: {
      HOME: home,
      TMPDIR: join(home, "tmp"),
      PATH: process.env["PATH"] ?? "",
      PYLON_RELEASES_URL: `http://127.0.0.1:${server.port}`,
      PYLON_VERSION: "0.1.0",
      ...env,
    },
  });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output: out + error, home };
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).map(({ name }) => name);
}

/** Creates a folder with a program of this name, to put first in PATH. */
function fake(name: string, body: string): string {
  const dir = join(folder.path, `fake-${(tests += 1)}`);
  mkdirSync(dir);
  writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(dir, name), 0o755);
  return `${dir}:${process.env["PATH"] ?? ""}`;
}

function expectNothing({ code, output, home }: Outcome, message: RegExp): void {
  expect({ code, output }).toEqual({
    code: expect.any(Number),
    output: expect.stringMatching(message),
  });
  expect(code).not.toBe(0);
  expect(filesIn(home)).toEqual(["tmp"]);
}

test("installs a release that runs, and tells how to extend PATH", async () => {
  const { code, output, home } = await install();
  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringContaining(`export PATH="${home}/.local/bin:$PATH"`),
  });
  const file = join(home, ".local/bin/pylon");
  expect(statSync(file).mode & 0o777).toBe(0o755);
  expect(Bun.spawnSync([file, "version"]).stdout.toString()).toMatch(/^pylon \d/);
  expect(filesIn(home).toSorted()).toEqual([".local", "bin", "pylon", "tmp"]);
});

test("replaces an older one in the given folder, and accepts a PATH that has it", async () => {
  const dir = join(folder.path, "own bin");
  mkdirSync(dir);
  writeFileSync(join(dir, "pylon"), "older");
  const { code, output } = await install({
    PYLON_INSTALL_DIR: dir,
    PATH: `${process.env["PATH"] ?? ""}:${dir}`,
  });
  expect({ code, output }).toEqual({ code: 0, output: expect.not.stringContaining("export PATH") });
  expect(readFileSync(join(dir, "pylon")).equals(readFileSync(join(release, HOST)))).toBe(true);
  expect(readdirSync(dir)).toEqual(["pylon"]);
});

test.each<readonly [string, string, () => Response, RegExp]>([
  [
    "a wrong checksum",
    HOST,
    () => new Response("something else"),
    /does not match SHA256SUMS: nothing was installed/,
  ],
  [
    "a missing executable",
    HOST,
    () => new Response("", { status: 404 }),
    /could not be downloaded/,
  ],
  [
    "missing checksums",
    "SHA256SUMS",
    () => new Response("", { status: 404 }),
    /SHA256SUMS could not be downloaded/,
  ],
  [
    "checksums that do not name the executable",
    "SHA256SUMS",
    () => new Response("abc  pylon-other\n"),
    /does not contain/,
  ],
  [
    "a truncated executable",
    HOST,
    () => new Response(Bun.file(join(release, HOST)).slice(0, 1_000_000)),
    /does not match SHA256SUMS/,
  ],
])("installs nothing after %s", async (_what, name, answer, message) => {
  answers = new Map([[name, answer]]);
  try {
    expectNothing(await install(), message);
  } finally {
    answers = new Map();
  }
});

test("keeps the older version if the downloaded one has the wrong checksum", async () => {
  const dir = join(folder.path, "kept");
  mkdirSync(dir);
  writeFileSync(join(dir, "pylon"), "older");
  answers = new Map([[HOST, () => new Response("something else")]]);
  expectNothing(await install({ PYLON_INSTALL_DIR: dir }), /nothing was installed/);
  answers = new Map();
  expect(readFileSync(join(dir, "pylon"), "utf8")).toBe("older");
});

test.each([
  [
    "an unknown system",
    "uname",
    "case $1 in -s) echo Haiku ;; *) echo x86_64 ;; esac",
    /no executable for Haiku/,
  ],
  [
    "an unknown processor",
    "uname",
    "case $1 in -s) echo Linux ;; *) echo riscv64 ;; esac",
    /no executable for the processor riscv64/,
  ],
  [
    "a platform that the release lacks",
    "uname",
    "case $1 in -s) echo Darwin ;; *) echo x86_64 ;; esac",
    /does not contain pylon-darwin-x64/,
  ],
  ["musl", "ldd", "echo 'musl libc (x86_64)' >&2; exit 1", /needs glibc/],
])("rejects %s", async (_what, name, body, message) => {
  expectNothing(await install({ PATH: fake(name, body) }), message);
});

test.each([
  [{ PYLON_RELEASES_URL: "http://releases.example" }, /must begin with https/],
  [{ PYLON_RELEASES_URL: "http://localhost.example" }, /must begin with https/],
  [{ PYLON_RELEASES_URL: "http://127.0.0.1:80@releases.example" }, /must not contain a user/],
  [{ PYLON_RELEASES_URL: "ftp://127.0.0.1" }, /must begin with https/],
  [{ PYLON_RELEASES_URL: "" }, /Set PYLON_RELEASES_URL/],
  [{ PYLON_VERSION: "" }, /Set PYLON_VERSION/],
  [{ PYLON_VERSION: "../x" }, /PYLON_VERSION is/],
  [{ PYLON_INSTALL_DIR: "/dev/null/bin" }, /can't be created/],
])("rejects %j", async (env, message) => {
  expectNothing(await install(env), message);
});

test("the script of a release contains its URL and its version", async () => {
  const script = await (await fetch(`http://127.0.0.1:${server.port}/v0.1.0/install.sh`)).text();
  expect(script).toContain("releases=${PYLON_RELEASES_URL:-https://downloads.example.com/pylon}");
  const { code, home } = await install({ PYLON_VERSION: "" }, script);
  expect(code).toBe(0);
  expect(filesIn(home)).toContain("pylon");
});

test("a truncated script does nothing", async () => {
  const script = readFileSync(SCRIPT, "utf8");
  for (const share of [0.3, 0.6, 0.9, 0.99]) {
    const { home } = await install(
      {},
      script.slice(0, Math.floor(script.trimEnd().length * share)),
    );
    expect(filesIn(home)).toEqual(["tmp"]);
  }
  expect(filesIn((await install({}, script.trimEnd().slice(0, -"main".length))).home)).toEqual([
    "tmp",
  ]);
});

test("shellcheck finds nothing", () => {
  let shellcheck: string;
  try {
    shellcheck = debianProgram("shellcheck", "shellcheck");
  } catch (error) {
    console.error(
      `install.sh is not looked at: ${error instanceof Error ? error.message : String(error)}`,
    );
    return;
  }
  const { stdout, exitCode } = Bun.spawnSync([shellcheck, SCRIPT]);
  expect({ found: stdout.toString(), exitCode }).toEqual({ found: "", exitCode: 0 });
});
