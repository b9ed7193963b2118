import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { MAIN_FILE } from "../../packages/cli/src/testing/main-file.ts";
import { freePort } from "./servers/free-port.ts";
import { ADMIN_TOKEN } from "./server.ts";

/** One `pylon start` in a separate process. */
export class Replica {
  readonly port: number;
  readonly #dir: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #main: string;
  #child: Bun.Subprocess | null = null;

  /** @param main the file that it runs */
  constructor(
    dir: string,
    port: number,
    env: Readonly<Record<string, string>>,
    main: string = MAIN_FILE,
  ) {
    this.#main = main;
    this.#dir = dir;
    this.port = port;
    this.#env = env;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The id of its process; null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async start(): Promise<void> {
    const defaults = {
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      PYLON_LOG_LEVEL: "error",
      PYLON_RATE_LIMIT_MAX: "0",
      PYLON_FN_RATE_LIMIT_MAX: "0",
      PYLON_MAX_CONNECTIONS_PER_IP: "10000",
      PYLON_SINGLE_PORT: "1",
      PYLON_DRAIN_DELAY_SECS: "0",
    };
    const env = { ...process.env, ...defaults, ...this.#env };
    this.#child = Bun.spawn(
      [
        process.execPath,
        "--no-env-file",
        this.#main,
        "start",
        this.#dir,
        "--port",
        String(this.port),
      ],
      { env, stdout: "ignore", stderr: "inherit" },
    );
    while (
      !(await fetch(`${this.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (this.#child.exitCode !== null) throw new Error("The replica did not start.");
      await Bun.sleep(20);
    }
  }

  /** Sends a signal to the process. */
  signal(signal: "SIGTERM" | "SIGINT" | "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** @returns the exit code; null if the signal ended it */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    this.#child?.kill(signal);
    return this.ended();
  }

  /** Waits until it has ended on its own. @returns the exit code */
  async ended(): Promise<number | null> {
    await this.#child?.exited;
    const code = this.#child?.exitCode ?? null;
    this.#child = null;
    return code;
  }
}

/** Three equal replicas of one app behind a proxy that distributes connections in turn. */
export class Cluster implements AsyncDisposable {
  readonly replicas: readonly Replica[];
  readonly #dir: string;
  readonly #proxy: RoundRobin;

  private constructor(dir: string, replicas: readonly Replica[], proxy: RoundRobin) {
    this.#dir = dir;
    this.replicas = replicas;
    this.#proxy = proxy;
  }

  /**
   * @param files the files of the app, by path
   * @param main the file that each replica runs; default: the command
   */
  static async start(
    files: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string>>,
    main?: string,
  ): Promise<Cluster> {
    const dir = mkdtempSync(join(tmpdir(), "pylon-cluster-"));
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), text);
    }
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const replicas = ports.map((port) => new Replica(dir, port, env, main));
    await Promise.all(replicas.map((replica) => replica.start()));
    return new Cluster(dir, replicas, await RoundRobin.start(ports));
  }

  /** The URL for clients. */
  get url(): string {
    return `http://127.0.0.1:${this.#proxy.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop("SIGKILL")));
    this.#proxy.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A load balancer without stickiness; a replica that refuses the connection is skipped. */
class RoundRobin {
  readonly #server: Server;
  readonly #ports: readonly number[];
  readonly #sockets = new Set<Socket>();
  #next = 0;

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#server = createServer((client) => this.#connect(client, this.#ports.length));
  }

  static async start(ports: readonly number[]): Promise<RoundRobin> {
    const proxy = new RoundRobin(ports);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(client: Socket, tries: number): void {
    const port = this.#ports[(this.#next += 1) % this.#ports.length] ?? 0;
    const backend = createConnection({ host: "127.0.0.1", port });
    let isConnected = false;
    for (const socket of [client, backend]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.once("close", () => this.#sockets.delete(socket));
    }
    client.removeAllListeners("error").on("error", () => backend.destroy());
    backend.once("connect", () => {
      isConnected = true;
      client.pipe(backend);
      backend.pipe(client);
    });
    backend.once("error", () => {
      if (isConnected || tries <= 1) client.destroy();
      else this.#connect(client, tries - 1);
    });
    backend.once("close", () => {
      if (isConnected) client.destroy();
    });
    client.once("close", () => backend.destroy());
  }
}
