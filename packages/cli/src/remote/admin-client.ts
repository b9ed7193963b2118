import { isIP } from "node:net";
import type { Environment } from "../env-files.ts";
import { withEnvFiles } from "../env-files.ts";
import type { Option } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";

/** The flag `--url` of the commands that call a running server. */
export const URL_OPTION = {
  type: "string",
  value: "URL",
  summary: "The server's URL; default the server on this machine, at PYLON_PORT.",
} as const satisfies Option;
const TIMEOUT_MS = 10_000;
const BODY_TIMEOUT_MS = 600_000;

/** The options of a request. */
interface Ask {
  /** The body may take any time, once the response has begun. */
  readonly staysOpen?: boolean;
  /** The time within which the response must begin, in milliseconds; null for any time. */
  readonly timeoutMs?: number | null;
  readonly body?: string | Blob;
  /** The media type of the body; default JSON. */
  readonly type?: string;
  readonly accept?: string;
}

/** Calls a running server as its admin. */
export class AdminClient {
  readonly url: string;
  readonly #token: string;

  /**
   * @param url as given by the caller
   * @param own the process's environment; the token is in it or in the app's `.env`, never in a
   *   flag, where others could read it
   * @throws CommandError ADMIN_INVALID_URL, ADMIN_INSECURE_URL, ADMIN_NO_TOKEN
   */
  constructor(url: string | undefined, own: Environment) {
    const { env } = withEnvFiles(".", own);
    this.url = originOf(url ?? `http://127.0.0.1:${env["PYLON_PORT"] ?? "4321"}`);
    this.#token = env["PYLON_ADMIN_TOKEN"] ?? "";
    if (this.#token === "")
      throw new CommandError(
        "ADMIN_NO_TOKEN",
        "PYLON_ADMIN_TOKEN is not set, and this command needs admin access: set it in the " +
          "environment or the app's .env.",
      );
  }

  /** @throws CommandError ADMIN_UNREACHABLE, ADMIN_REFUSED */
  get(
    path: string,
    options: { readonly staysOpen?: boolean; readonly accept?: string } = {},
  ): Promise<Response> {
    return this.#ask("GET", path, options);
  }

  /**
   * Sends a file of any size, as a stream: the response comes when all of it is processed, which
   * may take as long as it takes.
   *
   * @param type its media type
   * @throws CommandError ADMIN_UNREACHABLE, ADMIN_REFUSED
   */
  upload(path: string, file: Blob, type: string): Promise<Response> {
    return this.#ask("POST", path, { body: file, type, timeoutMs: null });
  }

  /**
   * Sends a change.
   *
   * @param body JSON; the response may then take as long as the work
   * @throws CommandError ADMIN_UNREACHABLE, ADMIN_REFUSED
   */
  send(method: "POST" | "DELETE", path: string, body?: string): Promise<Response> {
    return this.#ask(method, path, body === undefined ? {} : { body });
  }

  async #ask(method: string, path: string, options: Ask): Promise<Response> {
    const abort = new AbortController();
    const { timeoutMs = options.body === undefined ? TIMEOUT_MS : BODY_TIMEOUT_MS } = options;
    const timer = timeoutMs === null ? undefined : setTimeout(() => abort.abort(), timeoutMs);
    let response: Response;
    try {
      // A redirect would send the token elsewhere.
      response = await fetch(this.url + path, {
        method,
        headers: {
          Authorization: `Bearer ${this.#token}`,
          Accept: options.accept ?? "*/*",
          ...(options.body === undefined
            ? {}
            : { "Content-Type": options.type ?? "application/json" }),
        },
        body: options.body ?? null,
        redirect: "manual",
        signal: abort.signal,
        // The runtime's own limit would end a long import.
        ...(timeoutMs === null ? { timeout: false } : {}),
      });
    } catch (error) {
      const why = abort.signal.aborted
        ? `did not respond within ${Number(timeoutMs) / 1000} s`
        : `can't be reached: ${error instanceof Error ? error.message : String(error)}`;
      throw new CommandError("ADMIN_UNREACHABLE", `${this.url} ${why}`, EXIT.UNAVAILABLE);
    } finally {
      if (options.staysOpen === true) clearTimeout(timer);
      else timer?.unref();
    }
    if (response.ok) return response;
    const said = await refusalOf(response);
    const isRefused = response.status === 401 || response.status === 403;
    // A function that is called as a user may reject that user.
    if (isRefused && (said === null || said.isOfToken))
      throw new CommandError(
        "ADMIN_REFUSED",
        `${this.url} rejected PYLON_ADMIN_TOKEN: check that it is the token of this server.`,
      );
    if (said !== null) throw new CommandError("ADMIN_REFUSED", said.text);
    throw new CommandError(
      "ADMIN_REFUSED",
      `${this.url}${path} returned ${response.status}: check that it is a Pylon server of this ` +
        `version.`,
    );
  }
}

/** The error message of a Pylon server, and whether it is about the admin token. */
interface Refusal {
  readonly text: string;
  readonly isOfToken: boolean;
}

/** The error message of a Pylon server; null for a response of another server. */
async function refusalOf(response: Response): Promise<Refusal | null> {
  try {
    const { error }: { readonly error?: Readonly<Record<string, unknown>> } = await response.json();
    const { code, message, hint } = error ?? {};
    if (typeof message !== "string") return null;
    const text = typeof hint === "string" ? `${message} ${hint}` : message;
    return { text, isOfToken: code === "UNAUTHORIZED" || text.includes("PYLON_ADMIN_TOKEN") };
  } catch {
    return null;
  }
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CommandError(
      "ADMIN_INVALID_URL",
      `--url is "${text}": expected a URL such as https://api.example.com.`,
      EXIT.USAGE,
    );
  if (url.protocol === "http:" && !isNear(url.hostname))
    throw new CommandError(
      "ADMIN_INSECURE_URL",
      `${url.origin} is not https, so the admin token would be sent unencrypted: use https.`,
      EXIT.USAGE,
    );
  return url.origin;
}

/** This machine and its private network, where a replica is reached without its load balancer. */
function isNear(host: string): boolean {
  if (host === "localhost" || host === "[::1]" || !/[.:]/.test(host)) return true;
  return isIP(host) === 4 && /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(host);
}
