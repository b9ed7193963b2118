import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianProgram } from "./debian.ts";
import { freePort } from "./free-port.ts";

/** A separate real redis-server for a test, on a free port, that can be killed and restarted. */
export class RedisServer {
  readonly url: string;
  readonly #port: number;
  readonly #dir: string;
  #process: Bun.Subprocess | null = null;

  private constructor(port: number) {
    this.#port = port;
    this.#dir = mkdtempSync(join(tmpdir(), "pylon-redis-"));
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** @param isUp false: nothing listens yet @throws Error if there is no redis-server */
  static async start({ isUp = true } = {}): Promise<RedisServer> {
    const redis = new RedisServer(await freePort());
    if (isUp) await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    const command = debianProgram("redis-server", "redis-server");
    const child = Bun.spawn(
      [
        command,
        "--port",
        String(this.#port),
        "--bind",
        "127.0.0.1",
        "--dir",
        this.#dir,
        "--save",
        "",
        "--appendonly",
        "no",
      ],
      { stdout: "ignore", stderr: "inherit" },
    );
    this.#process = child;
    for (
      const end = performance.now() + 5000;
      performance.now() < end && child.exitCode === null;
      await Bun.sleep(10)
    ) {
      if (await answers(this.#port)) return;
    }
    throw new Error("redis-server did not start.");
  }

  /** Kills it with all of its data, because nothing is on disk. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = null;
  }

  /** Makes it hang: connections stay open, without responses. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    let heard = "";
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => {
          heard += chunk.toString();
        },
      },
    });
    socket.write("PING\r\n");
    for (let tries = 0; tries < 50 && heard === ""; tries += 1) await Bun.sleep(2);
    socket.end();
    return heard.startsWith("+PONG");
  } catch {
    return false;
  }
}
