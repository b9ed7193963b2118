/**
 * Calls the Pylon server's HTTP API from client components, authenticated by the cookie of this
 * origin.
 *
 * @module
 */
import { PylonClientError, readAnswer } from "@pylonsync/sync";

/**
 * The error of a rejected request, with `status` and `code`; `status` is 0 without a response.
 *
 * @example
 * const problem = await api("/api/entities/Todo").catch((error: unknown) =>
 *   error instanceof ApiError ? error.code : "UNKNOWN",
 * );
 */
export const ApiError: typeof PylonClientError = PylonClientError;
/** The type of an `ApiError`. */
export type ApiError = PylonClientError;

/** Options of `createPylonClient`. */
export interface PylonClientOptions {
  /** The URL of the API. Default: the page's own origin, where `createPylonHandler` serves it. */
  readonly baseUrl?: string | undefined;
}

/**
 * Options of a request: those of `fetch`, where `body` may also be an object, which is sent as
 * JSON.
 */
export interface ApiInit extends Omit<RequestInit, "body"> {
  readonly body?: BodyInit | object | null | undefined;
}

/** The result of `createPylonClient`. */
export interface PylonClient {
  /** Like the function `api`. */
  readonly api: <T = unknown>(path: string, init?: ApiInit) => Promise<T>;
}

/**
 * Creates an `api` function for another origin.
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
 * Sends a request to the API of this origin, and returns the parsed JSON of the response.
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

/** Plain objects are sent as JSON; all other types of bodies have their own class. */
function isPlain(body: ApiInit["body"]): body is object {
  if (typeof body !== "object" || body === null) return false;
  const prototype: unknown = Object.getPrototypeOf(body);
  return prototype === Object.prototype || prototype === null || Array.isArray(body);
}
