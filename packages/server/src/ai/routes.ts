import { PylonError } from "@pylonsync/protocol";
import type { AiSettings } from "@pylonsync/sdk/plugins";
import type { AiConfig } from "../config/config.ts";
import type { Platform } from "../platform.ts";
import type { RequestContext } from "../request/context.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { readerShare } from "../request/reading.ts";
import { json, toPublicError, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { chatRequest, type ChatRequest } from "./chat-request.ts";
import { ModelClient } from "./model-client.ts";
import type { AnswerPart } from "./provider.ts";

/** The services of the routes. */
export interface AiServices {
  /** Null: no model is configured. */
  readonly config: AiConfig | null;
  readonly settings: () => AiSettings;
  readonly platform: Pick<Platform, "after">;
  /** Counts requests by user, those of guests by network. */
  readonly requests: RateLimiter;
  /** Counts tokens by user, those of guests by network. */
  readonly tokens: RateLimiter;
}

/** The assumed characters per token if a provider does not report the number of tokens. */
const CHARS_PER_TOKEN = 4;

/** A model for the app's users; its key stays on the server. */
export function aiRoutes(services: AiServices): Route[] {
  const common = {
    method: "POST",
    body: "query",
    access: "signed-in",
    scope: "functions",
  } as const;
  const { complete, stream } = new AiHandlers(services);
  return [
    { ...common, path: "/api/ai/complete", handle: complete },
    { ...common, path: "/api/ai/stream", handle: stream },
  ];
}

/** An allowed request, and the key by which its tokens are counted. */
interface AcceptedRequest {
  readonly client: ModelClient;
  readonly request: ChatRequest;
  readonly key: string;
}

class AiHandlers {
  readonly #services: AiServices;

  constructor(services: AiServices) {
    this.#services = services;
  }

  readonly complete = async (context: RequestContext): Promise<Answer> => {
    const { client, request, key } = await this.#accept(context);
    const answer = await client.complete(request, context.request.signal);
    await this.#countTokens(key, request, answer);
    return json({ content: answer.text, ...endOf(request, answer) });
  };

  readonly stream = async (context: RequestContext): Promise<Answer> => {
    const accepted = await this.#accept(context);
    const abort = new AbortController();
    const parts = accepted.client.stream(
      accepted.request,
      AbortSignal.any([abort.signal, context.request.signal]),
    );
    // An error before the first part gets an error response, and not one within a stream.
    const first = await parts.next();
    return new Response(this.#events(accepted, parts, first, { abort, id: context.requestId }), {
      headers: {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
      },
    });
  };

  /**
   * Returns the parts as events. The provider is read no faster than the client reads; if the
   * client disconnects, the provider's response is aborted, and the received parts are counted.
   */
  #events(
    { request, key }: AcceptedRequest,
    parts: AsyncGenerator<AnswerPart>,
    first: IteratorResult<AnswerPart, void>,
    { abort, id }: { readonly abort: AbortController; readonly id: string },
  ): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let received: AnswerPart = { text: "" };
    let next: IteratorResult<AnswerPart, void> | null = first;
    let isCounted = false;
    const count = async (): Promise<void> => {
      if (isCounted) return;
      isCounted = true;
      await this.#countTokens(key, request, received);
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const send = (event: string, data: unknown): void =>
            controller.enqueue(
              encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
            );
          try {
            for (;;) {
              const { value, done } = next ?? (await parts.next());
              next = null;
              if (done === true) break;
              received = joined(received, value);
              if (value.text === "") continue;
              controller.enqueue(encoder.encode(textEvent(value.text)));
              return;
            }
            await count();
            send("result", { content: received.text, ...endOf(request, received) });
          } catch (error) {
            await count();
            if (abort.signal.aborted) return;
            const shown =
              toPublicError(error) ?? new PylonError("INTERNAL", "An internal error occurred.");
            send("error", { ...shown.toBody().error, request_id: id });
          }
          controller.close();
        },
        cancel: async () => {
          abort.abort();
          await count();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** @throws PylonError AI_NOT_CONFIGURED, FORBIDDEN, RATE_LIMITED, INVALID_DATA */
  async #accept(context: RequestContext): Promise<AcceptedRequest> {
    const { config, settings, platform, requests, tokens } = this.#services;
    if (config === null)
      throw new PylonError("AI_NOT_CONFIGURED", "No model is configured on this server.", {
        hint: "Set PYLON_AI_PROVIDER, PYLON_AI_API_KEY and PYLON_AI_MODEL.",
      });
    const own = settings();
    checkCaller(context, own);
    const request = chatRequest(await context.json(), config, own);
    const key = readerShare(context);
    await requests.count(() => key);
    if (await tokens.isFull(key)) await tokens.count(() => key, 0);
    return { client: new ModelClient(config, platform), request, key };
  }

  /** The response that reaches the limit has already been sent: the next request is rejected. */
  async #countTokens(key: string, request: ChatRequest, received: AnswerPart): Promise<void> {
    const { input_tokens: input, output_tokens: output } = usageOf(request, received);
    await this.#services.tokens
      .count(() => key, input + output)
      .catch((error: unknown) => {
        if (!(error instanceof PylonError && error.code === "RATE_LIMITED")) throw error;
      });
  }
}

/** @throws PylonError FORBIDDEN */
function checkCaller({ caller }: RequestContext, { roles, guests }: AiSettings): void {
  if (caller.isAdmin) return;
  if (caller.isGuest && !guests)
    throw new PylonError("FORBIDDEN", "Guests may not use the model.", { hint: "Sign up first." });
  if (roles !== null && !roles.some((role) => caller.roles.includes(role)))
    throw new PylonError("FORBIDDEN", "None of your roles may use the model.");
}

function joined(before: AnswerPart, part: AnswerPart): AnswerPart {
  return {
    text: before.text + part.text,
    stopReason: part.stopReason ?? before.stopReason,
    inputTokens: part.inputTokens ?? before.inputTokens,
    outputTokens: part.outputTokens ?? before.outputTokens,
  };
}

function endOf({ model, ...request }: ChatRequest, received: AnswerPart): object {
  return {
    model,
    stop_reason: received.stopReason ?? null,
    usage: usageOf({ model, ...request }, received),
  };
}

function usageOf(
  { system, messages }: ChatRequest,
  { text, inputTokens, outputTokens }: AnswerPart,
): { readonly input_tokens: number; readonly output_tokens: number } {
  const promptLength = messages.reduce((sum, { content }) => sum + content.length, system.length);
  return {
    input_tokens: inputTokens ?? Math.ceil(promptLength / CHARS_PER_TOKEN),
    output_tokens: outputTokens ?? Math.ceil(text.length / CHARS_PER_TOKEN),
  };
}

/** One event; a text of several lines becomes several `data:` lines. */
function textEvent(text: string): string {
  const lines = text.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${lines.join("")}\n`;
}
