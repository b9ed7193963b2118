import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  COMMAND,
  noteApp,
  PylonProcess,
  TempFolder,
} from "../../packages/cli/src/testing/pylon-process.ts";
import { PostgresServer, WITHOUT_FLUSHING } from "../../tests/support/servers/postgres.ts";
import { run } from "../../tests/support/run.ts";
import { codeBlocks } from "../code-blocks.ts";

const PAGE = join(import.meta.dir, "compose.md");
const DEBIAN = "/usr/lib/postgresql";
const clients = existsSync(DEBIAN)
  ? readdirSync(DEBIAN)
      .map((version) => join(DEBIAN, version, "bin"))
      .findLast((dir) => existsSync(join(dir, "pg_dump")))
  : undefined;

/** The block that stands below a heading. */
function linesBelow(heading: string): string {
  const text = readFileSync(PAGE, "utf8");
  const from = text.slice(0, text.indexOf(`\n## ${heading}\n`)).split("\n").length;
  return (
    codeBlocks(PAGE).find(({ line, language }) => line > from && language === "sh")?.code ??
    expect.unreachable(`${heading} has no commands`)
  );
}

// Runs in the place of a service's container what Docker Compose would run in it: the service's
// programs are on this machine.
function dockerOf(data: string): string {
  return `#!${process.execPath}
const words = process.argv.slice(2).filter((word) => !["-T", "--rm"].includes(word));
const [compose, verb, service, ...command] = words;
if (compose !== "compose") process.exit(64);
if (verb !== "exec" && verb !== "run") process.exit(0);
const local = command.flatMap((word, index) => (index === 0 && word === "pylon" ?
  ${JSON.stringify(COMMAND)} : word === "/data" ? ${JSON.stringify(data)} : word));
if (service !== "app" && service !== "postgres") process.exit(64);
process.exit(Bun.spawnSync(local, { stdin: "inherit", stdout: "inherit",
  stderr: "inherit" }).exitCode);
`;
}

/** The page's folder, its database and its data. */
class Deployment {
  readonly folder = new TempFolder();
  readonly data = new TempFolder();
  readonly #env: Readonly<Record<string, string>>;

  constructor(postgres: PostgresServer) {
    this.folder.write({
      "app.ts": noteApp("text: field.string()"),
      ".env.production": "A=b\n",
      ".env.postgres": "C=d\n",
      "bin/docker": dockerOf(this.data.path),
    });
    chmodSync(join(this.folder.path, "bin/docker"), 0o755);
    this.#env = {
      PGHOST: "127.0.0.1",
      PGPORT: String(postgres.port),
      DATABASE_URL: postgres.url("pylon"),
      PYLON_FILES_DIR: join(this.data.path, "uploads"),
      PATH: [join(this.folder.path, "bin"), clients, process.env["PATH"]].join(":"),
    };
  }

  sh(script: string): Promise<string> {
    return run(["bash", "-euo", "pipefail", "-c", script], {
      cwd: this.folder.path,
      env: this.#env,
    });
  }

  async serve(work: (url: string) => Promise<void>): Promise<void> {
    await using server = new PylonProcess(["start", "--port", "0"], this.folder.path, this.#env);
    await work(`http://localhost:${String((await server.event())["port"])}`);
    expect(await server.end()).toBe(0);
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
    this.data[Symbol.dispose]();
  }
}

async function write(url: string, text: string): Promise<void> {
  const body = JSON.stringify({ id: text, text });
  const { status } = await fetch(`${url}/api/entities/Note`, { method: "POST", body });
  expect(status).toBe(201);
}

async function cursorOf(url: string): Promise<number> {
  const pulled = (await (await fetch(`${url}/api/sync/pull?since=0`)).json()) as {
    cursor: { last_seq: number };
  };
  return pulled.cursor.last_seq;
}

async function textsAt(url: string): Promise<string[]> {
  const { data } = (await (await fetch(`${url}/api/entities/Note`)).json()) as {
    data: { text: string }[];
  };
  return data.map(({ text }) => text);
}

test.skipIf(clients === undefined)(
  "what the page backs up is there after its restore, and clients start over",
  async () => {
    await using postgres = await PostgresServer.start(WITHOUT_FLUSHING);
    using deployment = new Deployment(postgres);
    const { folder, data } = deployment;
    await deployment.sh("createdb -U pylon pylon");
    let cursor = 0;
    await deployment.serve(async (url) => {
      await write(url, "before");
      mkdirSync(join(data.path, "uploads/deep"), { recursive: true });
      writeFileSync(join(data.path, "uploads/deep/one"), "on paper");
      await deployment.sh(linesBelow("Back up"));
      await write(url, "after");
      cursor = await cursorOf(url);
    });
    for (const name of readdirSync(join(folder.path, "backups/monday")))
      expect([name, statSync(join(folder.path, "backups/monday", name)).mode & 0o077]).toEqual([
        name,
        0,
      ]);
    rmSync(join(data.path, "uploads"), { recursive: true });
    await deployment.sh(linesBelow("Restore"));
    expect(readFileSync(join(data.path, "uploads/deep/one"), "utf8")).toBe("on paper");
    await deployment.serve(async (url) => {
      expect(await textsAt(url)).toEqual(["before"]);
      await write(url, "later");
      expect((await fetch(`${url}/api/sync/pull?since=${cursor}`)).status).toBe(410);
    });
  },
  120_000,
);
