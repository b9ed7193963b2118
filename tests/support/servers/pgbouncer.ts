import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asOrdinaryUser, debianProgram } from "./debian.ts";
import { freePort } from "./free-port.ts";

/**
 * A PgBouncer in transaction mode in front of a Postgres: each transaction may get another
 * connection, and session state is lost.
 */
export class PgBouncer implements AsyncDisposable {
  readonly #process: Bun.Subprocess;
  readonly #dir: string;
  /** The database, through the pooler. */
  readonly url: string;

  private constructor(process: Bun.Subprocess, dir: string, url: string) {
    this.#process = process;
    this.#dir = dir;
    this.url = url;
  }

  /** @param databaseUrl the URL of the database behind it */
  static async start(databaseUrl: string): Promise<PgBouncer> {
    const { hostname, port, pathname, username } = new URL(databaseUrl);
    const dir = mkdtempSync(join(tmpdir(), "pylon-pgbouncer-"));
    chmodSync(dir, 0o755);
    const own = await freePort();
    const users = join(dir, "users.txt");
    const config = join(dir, "pgbouncer.ini");
    writeFileSync(users, `"${username}" ""\n`);
    writeFileSync(
      config,
      `[databases]\n* = host=${hostname} port=${port}\n[pgbouncer]\nlisten_addr = ` +
        `127.0.0.1\nlisten_port = ${own}\nunix_socket_dir =\nauth_type = trust\nauth_file = ` +
        `${users}\npool_mode = transaction\ndefault_pool_size = 3\n`,
    );
    const { command, args } = asOrdinaryUser([debianProgram("pgbouncer", "pgbouncer"), config]);
    const child = Bun.spawn([command, ...args], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    for (let attempt = 0; !(await accepts(own)); attempt += 1) {
      if (attempt === 200 || child.exitCode !== null) throw new Error("PgBouncer did not start.");
      await Bun.sleep(20);
    }
    return new PgBouncer(child, dir, `postgres://${username}@127.0.0.1:${own}${pathname}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
