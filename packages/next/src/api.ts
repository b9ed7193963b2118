/**
 * The Pylon server's HTTP API in client components, signed in by the cookie of this origin.
 *
 * @module
 */
import { PylonClientError, readAnswer } from "@pylonsync/sync";

/**
 * A request that was refused, with `status` and `code`; `status` is 0 where there was no answer.
 *
 * @example
 * const problem = await api("/api/entities/Todo").catch((error: unknown) =>
 *   error instanceof ApiError ? error.code : "UNKNOWN",
 * );
 */
export const ApiError: typeof PylonClientError = PylonClientError;
/** See the class. */
export type ApiError = PylonClientError;

/** Options of `createPylonClient`. */
export interface PylonClientOptions {
  /** Where the API is. Default: this page's own origin, where `createPylonHandler` is. */
  readonly baseUrl?: string | undefined;
}

/** What is sent: as `fetch` takes it, or an object that is sent as JSON. */
export interface ApiInit extends Omit<RequestInit, "body"> {
  readonly body?: BodyInit | object | null | undefined;
}

/** What `createPylonClient` returns. */
export interface PylonClient {
  /** As the function `api`. */
  readonly api: <T = unknown>(path: string, init?: ApiInit) => Promise<T>;
}

/**
 * Makes an `api` of another origin.
 *
 * @example
 * const { api: remote } = createPylonClient({ baseUrl: "https://api.example.com" });
 * const todos = await remote<{ data: { id: string }[] }>("/api/entities/Todo");
 */
export function createPylonClient({ baseUrl = "" }: PylonClientOptions = {}): PylonClient {
  return { api: (path, init) => ask(baseUrl.replace(/\/$/, ""), path, init) };
}

const own = createPylonClient();

/**
 * Asks the API of this origin, and gives the JSON of its answer.
 *
 * @throws ApiError
 *
 * @example
 * const { id } = await api<{ id: string }>("/api/entities/Todo", {
 *   method: "POST",
 *   body: { title: "milk" },
 * });
 */
export function api<T = unknown>(path: string, init?: ApiInit): Promise<T> {
  return own.api<T>(path, init);
}

function ask<T>(baseUrl: string, path: string, init?: ApiInit): Promise<T>;
async function ask(
  baseUrl: string,
  path: string,
  { body, ...init }: ApiInit = {},
): Promise<unknown> {
  const headers = new Headers(init.headers);
  const isObject = isPlain(body);
  if (!headers.has("Content-Type") && (isObject || typeof body === "string"))
    headers.set("Content-Type", "application/json");
  const [response, text] = await fetch(baseUrl + path, {
    credentials: "include",
    ...init,
    headers,
    body: isObject ? JSON.stringify(body) : (body ?? null),
  })
    .then(async (answer) => [answer, await answer.text()] as const)
    .catch((cause: unknown) => {
      throw PylonClientError.ofClient("UNREACHABLE", "The server can't be reached.", cause);
    });
  return readAnswer(response, text);
}

/** What JSON stands for; everything else that a body may be has a class of its own. */
function isPlain(body: ApiInit["body"]): body is object {
  if (typeof body !== "object" || body === null) return false;
  const prototype: unknown = Object.getPrototypeOf(body);
  return prototype === Object.prototype || prototype === null || Array.isArray(body);
}
