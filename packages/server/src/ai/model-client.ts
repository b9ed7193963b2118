import { MAX_AI_ANSWER_BYTES, PylonError } from "@pylonsync/protocol";
import type { AiConfig } from "../config/config.ts";
import type { Platform } from "../platform.ts";
import { timeoutSignal } from "../util/timeout-signal.ts";
import type { ChatRequest } from "./chat-request.ts";
import { PROVIDERS, type AnswerPart } from "./provider.ts";

/** The maximum duration of a response, in milliseconds. */
const TIMEOUT_MS = 300_000;
/** The maximum size of one event of a stream, in bytes. */
const MAX_EVENT_BYTES = 1024 * 1024;
const DONE = "[DONE]";

/** Calls the provider. Its errors are reported without its texts, which may contain anything. */
export class ModelClient {
  readonly #config: AiConfig;
  readonly #platform: Pick<Platform, "after">;

  constructor(config: AiConfig, platform: Pick<Platform, "after">) {
    this.#config = config;
    this.#platform = platform;
  }

  /** @throws PylonError AI_FAILED */
  async complete(request: ChatRequest, signal: AbortSignal): Promise<AnswerPart> {
    const response = await this.#ask(request, false, signal);
    const texts: string[] = [];
    for await (const text of textsOf(response)) texts.push(text);
    const answer = PROVIDERS[this.#config.provider].whole(parsed(texts.join("")));
    if (answer === null) throw failed("Its response can't be read.");
    return answer;
  }

  /**
   * Yields the parts of a response as they arrive; each is read only when it is requested.
   *
   * @throws PylonError AI_FAILED
   */
  async *stream(request: ChatRequest, signal: AbortSignal): AsyncGenerator<AnswerPart> {
    const response = await this.#ask(request, true, signal);
    const { createParser } = await import("eventsource-parser");
    const { part } = PROVIDERS[this.#config.provider];
    const events: string[] = [];
    const parser = createParser({
      onEvent: ({ data }) => void events.push(data),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded")
          throw failed("It sent an event that is too large.");
      },
      maxBufferSize: MAX_EVENT_BYTES,
    });
    for await (const text of textsOf(response)) {
      parser.feed(text);
      for (const data of events.splice(0)) {
        if (data === DONE) continue;
        const received = part(parsed(data));
        if (received.isError === true) throw failed("Its response was cut off.");
        yield received;
      }
    }
  }

  async #ask(request: ChatRequest, isStream: boolean, signal: AbortSignal): Promise<Response> {
    const { provider, apiKey, baseUrl } = this.#config;
    const { path, headers, body } = PROVIDERS[provider];
    let response;
    try {
      response = await fetch(baseUrl + path, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          ...(apiKey === null ? {} : headers(apiKey)),
        },
        body: JSON.stringify(body(request, isStream)),
        redirect: "error",
        signal: AbortSignal.any([signal, timeoutSignal(this.#platform, TIMEOUT_MS)]),
      });
    } catch {
      throw failed("It can't be reached.");
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw failed(`It returned status ${response.status}.`);
  }
}

/** @throws PylonError AI_FAILED when it is cut off, or too large */
async function* textsOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > MAX_AI_ANSWER_BYTES) throw failed("Its response is too large.");
      yield decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    if (error instanceof PylonError) throw error;
    throw failed("Its response was cut off.");
  }
}

/** Undefined for text that is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failed(why: string): PylonError {
  return new PylonError("AI_FAILED", `The model provider failed. ${why}`);
}
