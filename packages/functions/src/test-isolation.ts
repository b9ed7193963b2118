const DEV_SERVER = "http://localhost:4321";
/** The timeout of a reset, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** The options of `installTestIsolation`. */
export interface TestIsolationOptions {
  /** The URL of the server. Default: PYLON_URL, or `http://localhost:4321`. */
  readonly url?: string;
  /** The test runner's `beforeEach`. Default: the global one of bun test, Jest and Vitest. */
  readonly beforeEach?: (run: () => Promise<void>) => unknown;
}

/**
 * Empties the database of a server on this machine that runs in dev mode with `PYLON_IN_MEMORY=1`:
 * rows, users, sessions, files, jobs and workflow runs.
 *
 * `@pylonsync/testing` needs no server, and gives each test a separate app within milliseconds.
 *
 * @param url the URL of the server. Default: PYLON_URL, or `http://localhost:4321`
 * @throws Error if no server responds, or the server rejects the request
 * @example
 * await resetDb();
 */
export async function resetDb(url: string = serverUrl()): Promise<void> {
  const address = `${url.replace(/\/+$/, "")}/api/__test__/reset`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(address, { method: "POST", signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`${address} responded with ${response.status}: ${text}`);
}

/**
 * Empties the database before each test, using `resetDb`.
 *
 * @throws TypeError if there is no `beforeEach`
 * @example
 * import { beforeEach } from "bun:test";
 * installTestIsolation({ beforeEach });
 */
export function installTestIsolation(options: TestIsolationOptions = {}): void {
  const { url, beforeEach = globalBeforeEach() } = options;
  beforeEach(() => resetDb(url));
}

interface Process {
  readonly env?: Readonly<Record<string, string | undefined>>;
}

function serverUrl(): string {
  // In a browser, `process` does not exist.
  const { env = {} }: Process = Object(Reflect.get(globalThis, "process"));
  return env["PYLON_URL"] ?? DEV_SERVER;
}

function globalBeforeEach(): (run: () => Promise<void>) => unknown {
  const found: unknown = Reflect.get(globalThis, "beforeEach");
  if (typeof found === "function") return (run) => Reflect.apply(found, undefined, [run]);
  throw new TypeError(
    "There is no global beforeEach: pass the test runner's to installTestIsolation.",
  );
}
