import type { FnDefinition, HttpCors, HttpDefinition } from "@pylonsync/functions";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Endpoint, EndpointCall } from "../request/endpoint.ts";
import { readerShare } from "../request/reading.ts";
import type { AnswerHeaders } from "../request/responses.ts";
import { BoundedRequest } from "./bounded-request.ts";
import type { FunctionLimits } from "./function-limits.ts";
import { takes, type FoundHttp, type HttpTable } from "./http-table.ts";
import type { Runner } from "./runner.ts";

/** The HTTP functions of an app as endpoints of the server. */
export class HttpEndpoints {
  readonly #runner: Pick<Runner, "run">;
  readonly #limits: FunctionLimits;
  readonly #table: () => HttpTable;

  constructor(runner: Pick<Runner, "run">, limits: FunctionLimits, table: () => HttpTable) {
    this.#runner = runner;
    this.#limits = limits;
    this.#table = table;
  }

  /** Returns the endpoints at a path; empty if no HTTP function has it. */
  at(path: string): readonly Endpoint[] {
    return this.#table()
      .at(path)
      .map((found) => this.#endpoint(found));
  }

  #endpoint(found: FoundHttp): Endpoint {
    const { name, definition } = found;
    const { auth = "public", cookies = false, cors, method } = definition;
    return {
      name: `function ${name}`,
      methods: [method].flat(),
      signIn: cookies ? "cookie" : auth === "public" ? "nothing" : "bearer",
      takes: (asked) => takes(definition, asked),
      corsHeaders: (origin) => (cors === undefined ? null : corsHeaders(cors, definition, origin)),
      answer: (call) => this.#answer(found, call),
    };
  }

  async #answer({ name, definition, params }: FoundHttp, call: EndpointCall): Promise<Response> {
    const { caller } = call.identity;
    checkKeyScope(caller, "functions", { name });
    await this.#limits.count(name, definition, { caller, address: call.address });
    using bounded = new BoundedRequest(call, definition.maxBodyBytes);
    const { request } = bounded;
    const kept: { response?: Response } = {};
    const asAction = actionOf(definition, async (ctx) => {
      // The app declares the exact types of the handler.
      const handler = definition.handler as (request: Request, ctx: unknown) => unknown;
      kept.response = responseOf(name, await handler(request, { ...ctx, params }));
      return null;
    });
    await this.#runner.run(name, asAction, params, {
      caller,
      readerShare: () => readerShare({ caller, address: call.address() }),
      requestId: call.requestId,
      signal: call.request.signal,
    });
    const { response } = kept;
    if (response === undefined) throw new Error("An HTTP function ended without a response.");
    // The runtime answers HEAD with the length of the body, and cancels a stream.
    return response;
  }
}

/** Wraps an HTTP function as an action: with its timeout, its context, and logged failures. */
function actionOf(
  { auth, secrets, timeoutSecs }: HttpDefinition,
  handler: (ctx: object) => Promise<null>,
): FnDefinition {
  return {
    type: "action",
    // A Request and a Response can't leave the process that has their bodies.
    isolate: false,
    handler,
    ...(auth === undefined ? {} : { auth }),
    ...(secrets === undefined ? {} : { secrets }),
    ...(timeoutSecs === undefined ? {} : { timeoutSecs }),
  };
}

/** @throws TypeError for a value that can't be sent: a bug of the app */
function responseOf(name: string, returned: unknown): Response {
  if (!(returned instanceof Response))
    throw new TypeError(
      `The HTTP function "${name}" did not return a Response: return new Response(...).`,
    );
  if (returned.status < 200 || returned.bodyUsed)
    throw new TypeError(`The HTTP function "${name}" returned a Response that can't be sent.`);
  return returned;
}

function corsHeaders(
  { origins, headers, exposedHeaders = [], credentials = false }: HttpCors,
  { method }: HttpDefinition,
  origin: string | null,
): AnswerHeaders {
  const vary = { Vary: "Origin" };
  if (origin === null || (origins !== "*" && !origins.includes(origin))) return vary;
  return {
    ...vary,
    "Access-Control-Allow-Origin": origins === "*" ? "*" : origin,
    "Access-Control-Allow-Methods":
      method === "*" ? "GET, POST, PUT, PATCH, DELETE" : [method].flat().join(", "),
    "Access-Control-Allow-Headers": (headers ?? ["Content-Type", "Authorization"]).join(", "),
    "Access-Control-Expose-Headers": ["X-Request-Id", "Retry-After", ...exposedHeaders].join(", "),
    ...(credentials ? { "Access-Control-Allow-Credentials": "true" } : {}),
  };
}
