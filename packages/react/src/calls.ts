import { createIdFactory } from "@pylonsync/protocol";
import { callFunction, HttpClient, streamFunction, systemPlatform } from "@pylonsync/sync";
import { getEngine } from "./client.ts";

interface CallOptions {
  /** Takes the place of the signed-in session's. */
  readonly token?: string;
}

/**
 * Calls a server function outside of a component.
 *
 * @throws PylonClientError
 *
 * @example
 * const { id } = await callFn<{ id: string }>("addTodo", { title: "milk" });
 */
export function callFn<T = unknown>(
  name: string,
  args?: Readonly<Record<string, unknown>>,
  options?: CallOptions,
): Promise<T>;
export function callFn(
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  options: CallOptions = {},
): Promise<unknown> {
  if (options.token === undefined) return getEngine().fn(name, args);
  return callFunction(client(options.token), getEngine().platform, name, args, newId());
}

/**
 * Calls a function and yields the texts that it streams.
 *
 * @returns the function's result
 * @throws PylonClientError
 *
 * @example
 * for await (const text of streamFn("summarize", { id: "todo-1" })) console.log(text);
 */
export function streamFn(
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  options: CallOptions = {},
): AsyncGenerator<string, unknown> {
  return streamFunction(client(options.token ?? getEngine().token), name, args);
}

// `crypto.randomUUID` is not there on plain http.
const newId = createIdFactory(Date.now, systemPlatform.randomBytes);

function client(token: string | null): HttpClient {
  const { baseUrl, platform } = getEngine();
  return new HttpClient(baseUrl, platform, () => token);
}
