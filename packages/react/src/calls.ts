import { createIdFactory } from "@pylonsync/protocol";
import type { FunctionName, RegisteredFunctions } from "@pylonsync/sdk";
import {
  callFunction,
  HttpClient,
  PylonClientError,
  streamFunction,
  type FunctionError,
  type RequestAuthor,
} from "@pylonsync/sync";
import { getEngine } from "./client.ts";
import type { NameFor } from "./queries.ts";

interface CallOptions {
  /** Overrides the session's token. */
  readonly token?: string;
}

/** A name that the app does not register. */
type OtherName<N extends string> = N extends FunctionName ? never : N;
type Fields = Readonly<Record<string, unknown>>;
type ArgsOf<N extends FunctionName> = RegisteredFunctions[N]["args"];
type ResultOf<N extends FunctionName> = RegisteredFunctions[N]["result"];
/** The arguments after the name in a call. */
type Rest<A> =
  Record<never, never> extends A
    ? [args?: A, options?: CallOptions]
    : [args: A, options?: CallOptions];

/** With an explicit result type in place of the registered one. */
export function callFn<T = never>(
  name: NameFor<T>,
  args?: Fields,
  options?: CallOptions,
): Promise<T>;
/** For a function that is not registered. */
export function callFn<N extends string>(
  name: OtherName<N>,
  args?: Fields,
  options?: CallOptions,
): Promise<unknown>;
/**
 * Calls a server function outside a component.
 *
 * @param name the function's name, or its reference in `pylon.client.ts`
 * @throws PylonClientError
 *
 * @example
 * const { id } = await callFn<{ id: string }>("addTodo", { title: "milk" });
 */
export function callFn<N extends FunctionName>(
  name: N,
  ...call: Rest<ArgsOf<N>>
): Promise<ResultOf<N>>;
export function callFn(
  name: string,
  args: object = {},
  options: CallOptions = {},
): Promise<unknown> {
  const { token } = options;
  if (token === undefined) return getEngine().fn(name, { ...args });
  return callFunction(client(token), getEngine().platform, name, { ...args }, newId());
}

/**
 * Calls a function and yields the text chunks that it streams.
 *
 * @param name the function's name, or its reference in `pylon.client.ts`
 * @returns the function's return value
 * @throws PylonClientError
 *
 * @example
 * for await (const text of streamFn("summarize", { id: "todo-1" })) console.log(text);
 */
export function streamFn<N extends FunctionName>(
  name: N,
  ...call: Rest<ArgsOf<N>>
): AsyncGenerator<string, ResultOf<N>>;
/** For a function that is not registered. */
export function streamFn<N extends string>(
  name: OtherName<N>,
  args?: Fields,
  options?: CallOptions,
): AsyncGenerator<string, unknown>;
export function streamFn(
  name: string,
  args: object = {},
  options: CallOptions = {},
): AsyncGenerator<string, unknown> {
  const { token } = options;
  const { session } = getEngine();
  const http = token === undefined ? client(session.token, session) : client(token);
  return streamFunction(http, name, { ...args });
}

/** The error of a function that declares its errors. */
type CallError<N extends FunctionName> = PylonClientError &
  FunctionError<RegisteredFunctions[N]["errors"]>;

/**
 * Returns the error of a failed call, with the code and the data that the function declares in
 * `errors`.
 *
 * @param _name the name of the called function, which determines the types
 * @returns null if it is not an error response of a call, such as a bug in the page
 *
 * @example
 * try {
 *   await callFn("addTodo", { title: "milk" });
 * } catch (thrown) {
 *   const error = functionError("addTodo", thrown);
 *   if (error?.code !== "FULL") throw thrown;
 *   console.log(error.data);
 * }
 */
export function functionError<N extends FunctionName>(
  _name: N,
  thrown: unknown,
): CallError<N> | null {
  return isCallError<N>(thrown) ? thrown : null;
}

/** The server has checked that an error of a declared code has the declared data. */
function isCallError<N extends FunctionName>(thrown: unknown): thrown is CallError<N> {
  return thrown instanceof PylonClientError;
}

// `crypto.randomUUID` is not available on plain http.
function newId(): string {
  const { now, randomBytes } = getEngine().platform;
  return createIdFactory(now, randomBytes)();
}

function client(token: string | null, author?: RequestAuthor): HttpClient {
  const { baseUrl, platform } = getEngine();
  return new HttpClient(baseUrl, platform, () => token, author);
}
