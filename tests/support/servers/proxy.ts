import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeBlocks } from "../../../docs/code-blocks.ts";
import { debianProgram } from "./debian.ts";
import type { Certificate } from "./certificate.ts";

const PAGE = join(import.meta.dir, "..", "..", "..", "docs", "deploy", "proxies.md");
const START_MS = 10_000;
/** HAProxy does not start if the process may not open twice as many files. */
const MAX_CONNECTIONS = "maxconn 40000";
/** The socket on which HAProxy reports the state of its servers. */
const STATS_SOCKET = "stats.sock";
/** The value of a healthy server in `srv_op_state`. */
const RUNNING = "2";
/** PYLON_PORT in the page's examples. */
const FIRST_PORT = 4321;

export type ProxyKind = "haproxy" | "nginx";

export interface ProxyOptions {
  readonly certificate: Certificate;
  /** The port of the proxy; with four ports it also uses the next three. */
  readonly port: number;
  readonly fourPorts: boolean;
  /** The main ports of the two replicas. One that is named twice is both. */
  readonly replicas: readonly [number, number];
  /** Replacements in the page's configuration; a text that it does not contain is an error. */
  readonly changes?: Readonly<Record<string, string>>;
}

/**
 * A real HAProxy or nginx that runs the configuration in docs/deploy/proxies.md, with other ports
 * and paths.
 */
export class ProxyServer implements AsyncDisposable {
  readonly port: number;
  readonly #dir: string;
  readonly #process: Bun.Subprocess;

  private constructor(port: number, dir: string, process: Bun.Subprocess) {
    this.port = port;
    this.#dir = dir;
    this.#process = process;
  }

  /** @throws Error with the proxy's message if it does not start */
  static async start(kind: ProxyKind, options: ProxyOptions): Promise<ProxyServer> {
    const dir = mkdtempSync(join(tmpdir(), `pylon-${kind}-`));
    const child = kind === "haproxy" ? startHaproxy(dir, options) : startNginx(dir, options);
    const end = performance.now() + START_MS;
    while (!(await accepts(options.port))) {
      if (child.exitCode !== null || performance.now() > end)
        throw new Error(`${kind} did not start: ${await new Response(child.stderr).text()}`);
      await Bun.sleep(20);
    }
    return new ProxyServer(options.port, dir, child);
  }

  /**
   * Waits until the proxy considers both replicas healthy. HAProxy checks once a second; nginx does
   * not check, so there is nothing to wait for.
   */
  async untilUp(): Promise<void> {
    const socket = join(this.#dir, STATS_SOCKET);
    while (existsSync(socket) && (await serversDown(socket)) > 0) await Bun.sleep(20);
  }

  /** The URL for clients. */
  get url(): string {
    return `https://localhost:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 2_000);
    await this.#process.exited;
    clearTimeout(timer);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

type Child = Bun.Subprocess<"ignore", "ignore", "pipe">;

function startHaproxy(dir: string, options: ProxyOptions): Child {
  const onePort = pageBlock("haproxy", "one-port.cfg");
  // According to the page, the four pairs replace the single one.
  const text = options.fourPorts
    ? onePort.slice(0, onePort.indexOf("frontend ")) + pageBlock("haproxy", "four-ports.cfg")
    : onePort;
  const file = join(dir, "haproxy.cfg");
  writeFileSync(
    file,
    changed(
      text,
      {
        ...options.changes,
        "/etc/ssl/pylon.pem": options.certificate.both,
        [MAX_CONNECTIONS]: `maxconn 2000\n  stats socket ${join(dir, STATS_SOCKET)}`,
      },
      options,
    ),
  );
  return spawn([debianProgram("haproxy", "haproxy"), "-db", "-f", file]);
}

function startNginx(dir: string, options: ProxyOptions): Child {
  const shared = join(dir, "pylon-proxy.conf");
  const { certificate, key } = options.certificate;
  writeFileSync(
    shared,
    changed(
      pageBlock("nginx", "pylon-proxy.conf"),
      { ...options.changes, "/etc/ssl/pylon.crt": certificate, "/etc/ssl/pylon.key": key },
      options,
    ),
  );
  const text =
    pageBlock("nginx", "one-port.conf") +
    (options.fourPorts ? pageBlock("nginx", "four-ports.conf") : "");
  const servers = changed(text, { "/etc/nginx/pylon-proxy.conf": shared }, options);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(dir, name)};`,
  );
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const file = join(dir, "nginx.conf");
  writeFileSync(
    file,
    `${user} daemon off; pid ${join(dir, "nginx.pid")}; worker_processes 1; events { ` +
      `worker_connections 4096; } http { access_log off; ${temporary.join(" ")} ${servers} }\n`,
  );
  return spawn([debianProgram("nginx", "nginx"), "-e", "stderr", "-c", file]);
}

function spawn(command: readonly string[]): Child {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
}

function pageBlock(language: ProxyKind, label: string): string {
  const found = codeBlocks(PAGE).find(
    (block) => block.language === language && block.label === label,
  );
  if (found === undefined) throw new Error(`The page has no block ${label}.`);
  return found.code;
}

/** The page's text with the test's own ports and paths. */
function changed(
  text: string,
  changes: Readonly<Record<string, string>>,
  { port, replicas: [a, b] }: ProxyOptions,
): string {
  const offset = (written: string): number =>
    written === "443" ? 0 : Number(written) - FIRST_PORT;
  let result = text
    .replaceAll(
      /pylon-([ab]):(\d+)/g,
      (_, name: string, written: string) => `127.0.0.1:${(name === "a" ? a : b) + offset(written)}`,
    )
    .replaceAll(
      /(bind :|listen )(\d+)/g,
      (_, word: string, written: string) =>
        `${word === "listen " ? word : "bind "}127.0.0.1:${port + offset(written)}`,
    );
  for (const [from, to] of Object.entries(changes)) {
    if (!result.includes(from)) throw new Error(`The page's configuration has no "${from}".`);
    result = result.replaceAll(from, to);
  }
  return result;
}

/** The number of servers to which HAProxy sends nothing. */
async function serversDown(path: string): Promise<number> {
  const [, names = "", ...lines] = (await answerOf(path, "show servers state\n")).split("\n");
  // The line with the names begins with a hash that is not a column.
  const column = names.split(" ").indexOf("srv_op_state") - 1;
  const states = lines.flatMap((line) => line.split(" ")[column] ?? []);
  if (states.length === 0) throw new Error("HAProxy says nothing of its servers.");
  return states.filter((state) => state !== RUNNING).length;
}

/** The complete response of a program on a socket of this machine, until it closes it. */
function answerOf(path: string, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path }, () => socket.write(question));
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => (answer += text));
    socket.once("end", () => resolve(answer));
    socket.once("error", reject);
  });
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
