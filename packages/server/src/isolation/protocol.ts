/**
 * What the server and a process that runs handlers say to each other. `ctx` stays in the server:
 * the process asks for each of its methods by a path such as `db.get`. Only `ctx.fetch` asks from
 * the process itself, by the same code: a body would have to cross twice.
 */

/** The first message to the process: which app, and what its functions see as `ctx.env`. */
export interface LoadMessage {
  readonly kind: "load";
  readonly root: string;
  readonly functionsDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** In dev mode functions may ask this machine and its network. */
  readonly dev: boolean;
}

/** Runs a function. `run` names this run from now on. */
export interface RunMessage {
  readonly kind: "run";
  readonly run: number;
  readonly name: string;
  readonly requestId: string;
  readonly args: unknown;
  readonly context: SentContext;
}

/** `ctx` without its methods. */
export interface SentContext {
  readonly data: Readonly<Record<string, unknown>>;
  /** The number of the list of methods that the server answers. */
  readonly shape: number;
  /** The paths of those methods, the first time that this list is meant. */
  readonly methods?: readonly string[] | undefined;
  readonly auth: unknown;
  /** The server wants to be told when the handler looks at `ctx.auth`. */
  readonly isAuthWatched: boolean;
  /** What `ctx.secrets` has. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly seed: string;
}

/** From the server. */
export type HostMessage =
  | LoadMessage
  | RunMessage
  | { readonly kind: "abort"; readonly run: number; readonly reason: SentError }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly call: number; readonly error: SentError }
  | { readonly kind: "ask"; readonly callback: number };

/** To the server. */
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
  /** Of `ctx.db`: whose rights it takes, as `ctx.db.as` does; default the function's own. */
  readonly as?: object | undefined;
  readonly args: readonly unknown[];
  /** Functions among the arguments, by their place: the server asks for what they return. */
  readonly callbacks: readonly { readonly index: number; readonly callback: number }[];
}

/** An error on its way to the other side. */
export interface SentError {
  readonly message: string;
  readonly stack?: string | undefined;
  /** Of a PylonError: what it is made of beside its message. */
  readonly refusal?: {
    readonly code: string;
    readonly hint?: string | undefined;
    readonly field?: string | undefined;
    readonly extra?: Readonly<Record<string, unknown>> | undefined;
  };
  /** The call of the server that failed with it: the server still has the error itself. */
  readonly call?: number | undefined;
}
