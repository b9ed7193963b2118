/**
 * The protocol between the server and a process that runs handlers. `ctx` stays in the server: the
 * process calls its methods by a path such as `db.get`. Only `ctx.fetch` sends requests from the
 * process itself, with the same code: otherwise a body would be transferred twice.
 */

/** The first message to the process: the app, and `ctx.env` of its functions. */
export interface LoadMessage {
  readonly kind: "load";
  readonly root: string;
  readonly functionsDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The path of the memory in which runs are claimed (see RunClaims). */
  readonly claims: string;
  /** In dev mode, functions may send requests to this machine and its network. */
  readonly dev: boolean;
}

/** A list of methods of `ctx`, by path, to which later runs refer. */
export interface ShapeMessage {
  readonly kind: "shape";
  readonly shape: number;
  readonly methods: readonly string[];
}

/** Runs a function. `run` identifies this run in later messages. */
export interface RunMessage {
  readonly kind: "run";
  readonly run: number;
  /** Whether a running function called it, so that it must not wait for that one to end. */
  readonly isNested: boolean;
  readonly name: string;
  readonly requestId: string;
  readonly args: unknown;
  readonly context: SentContext;
}

/** `ctx` without its methods. */
export interface SentContext {
  readonly data: Readonly<Record<string, unknown>>;
  /** The number of the list of methods that the server provides. */
  readonly shape: number;
  readonly auth: unknown;
  /** Whether the server must be notified when the handler reads `ctx.auth`. */
  readonly isAuthWatched: boolean;
  /** The entries of `ctx.secrets`. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly seed: string;
}

/** A message from the server. */
export type HostMessage =
  | LoadMessage
  | ShapeMessage
  | RunMessage
  | { readonly kind: "abort"; readonly run: number; readonly reason: SentError }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly call: number; readonly error: SentError }
  | { readonly kind: "ask"; readonly callback: number };

/** A message to the server. */
export type IsolateMessage =
  | { readonly kind: "hello"; readonly name: string }
  | { readonly kind: "ready" }
  | { readonly kind: "unloadable"; readonly reason: string }
  | CallMessage
  | { readonly kind: "auth-read"; readonly run: number }
  | {
      readonly kind: "console";
      readonly run: number;
      readonly level: string;
      readonly text: string;
    }
  | {
      readonly kind: "fetching";
      readonly run: number;
      readonly fetch: number;
      readonly host: string;
      readonly method: string;
    }
  | {
      readonly kind: "fetched";
      readonly run: number;
      readonly fetch: number;
      readonly failure: string | null;
    }
  | { readonly kind: "returned"; readonly run: number; readonly json: string }
  | { readonly kind: "threw"; readonly run: number; readonly error: SentError }
  | {
      readonly kind: "asked";
      readonly callback: number;
      readonly value?: unknown;
      readonly error?: SentError;
    };

/** Calls a method of `ctx`. */
export interface CallMessage {
  readonly kind: "call";
  readonly run: number;
  readonly call: number;
  readonly method: string;
  /**
   * For `ctx.db`: the identity whose permissions apply, as in `ctx.db.as`; by default the
   * function's own.
   */
  readonly as?: object | undefined;
  readonly args: readonly unknown[];
  /** The functions among the arguments, by position: the server requests their results. */
  readonly callbacks: readonly { readonly index: number; readonly callback: number }[];
}

/** An error that is sent to the other side. */
export interface SentError {
  readonly message: string;
  readonly stack?: string | undefined;
  /** The parts of a PylonError in addition to its message. */
  readonly refusal?: {
    readonly code: string;
    readonly hint?: string | undefined;
    readonly field?: string | undefined;
    readonly extra?: Readonly<Record<string, unknown>> | undefined;
  };
  /** The server's call that failed with this error: the server still has the original error. */
  readonly call?: number | undefined;
}
