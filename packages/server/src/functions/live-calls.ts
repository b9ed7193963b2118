import { MAX_LIVE_RESULT_BYTES, PylonError } from "@pylonsync/protocol";
import { parseArgs, type FnDefinition } from "@pylonsync/functions";
import { ReadLog } from "../data/read-log.ts";
import type { Caller } from "../identity/identity.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { checkCaller } from "./function-auth.ts";
import type { FunctionLimits } from "./function-limits.ts";
import type { Call } from "./call.ts";
import type { Runner } from "./runner.ts";

/** A run of a query for its subscribers. */
interface LiveCall extends Required<Pick<Call, "caller" | "readerShare" | "requestId">> {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly seed: string;
  readonly signal: AbortSignal;
}

/** The query functions of an app, for subscriptions (see `sync/live-functions`). */
export class LiveCalls {
  readonly #runner: Runner;
  readonly #limits: FunctionLimits;

  /** @param limits the limits of calls over HTTP */
  constructor(runner: Runner, limits: FunctionLimits) {
    this.#runner = runner;
    this.#limits = limits;
  }

  /**
   * Functions are trusted code: their results are the same for all callers, unless they read the
   * identity of the caller.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH, INVALID_ARGS, INSUFFICIENT_SCOPE,
   *   AUTH_REQUIRED, FORBIDDEN
   */
  check(
    name: string,
    args: Readonly<Record<string, unknown>>,
    caller: Caller,
  ): { readonly audience: string; readonly isRead: boolean } {
    const definition = this.#queryOf(name);
    checkKeyScope(caller, "functions", { name });
    checkCaller(name, definition, caller);
    parseArgs(definition, args);
    return { audience: "", isRead: false };
  }

  /** @throws PylonError RATE_LIMITED */
  count(name: string, caller: Caller, address: string): Promise<void> {
    return this.#limits.count(name, this.#queryOf(name), { caller, address: () => address });
  }

  /** Runs the query and records what it reads. Rejects only with an internal error. */
  async run({ name, args, seed, ...call }: LiveCall): Promise<{
    readonly result: string | PylonError;
    readonly reads: ReadLog["reads"];
    readonly readsCaller: boolean;
  }> {
    const log = new ReadLog();
    let readsCaller = false;
    const result = await this.#resultOf(name, args, {
      ...call,
      watch: {
        seed,
        begin: (reader) => {
          log.clear();
          return log.watch(reader);
        },
        readCaller: () => {
          readsCaller = true;
        },
      },
    });
    return { result: log.excess ?? result, reads: log.reads, readsCaller };
  }

  async #resultOf(
    name: string,
    args: Readonly<Record<string, unknown>>,
    call: Call,
  ): Promise<string | PylonError> {
    try {
      // The app may have been reloaded.
      const definition = this.#queryOf(name);
      // A handler may change its arguments, and the next run must receive the original ones.
      const { json } = await this.#runner.run(name, definition, structuredClone(args), call);
      if (Buffer.byteLength(json) <= MAX_LIVE_RESULT_BYTES) return json;
      return new PylonError(
        "RESULT_TOO_LARGE",
        `The result of a live function may have at most ${MAX_LIVE_RESULT_BYTES} bytes.`,
        { hint: "Return less, such as one page of rows, or only the fields that are shown." },
      );
    } catch (error) {
      if (error instanceof PylonError) return error;
      throw error;
    }
  }

  /** @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH */
  #queryOf(name: string): FnDefinition {
    const definition = this.#runner.find(name);
    if (definition.type === "query") return definition;
    throw new PylonError(
      "FN_TYPE_MISMATCH",
      `"${name}" is ${definition.type === "action" ? "an action" : "a mutation"}: only a query ` +
        "can be live.",
      {
        field: "function",
        hint: "Call it without a subscription, and subscribe to a query instead.",
      },
    );
  }
}
