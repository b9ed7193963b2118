import { isRecord } from "../util/is-record.ts";
import type { AiConfig } from "../config/config.ts";
import type { ChatRequest } from "./chat-request.ts";

/** The contents of a response, or of a part of one. What it does not contain is undefined. */
export interface AnswerPart {
  readonly text: string;
  readonly stopReason?: string | undefined;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  /** Whether the provider aborted the response. */
  readonly isError?: boolean;
}

/** The format of a provider's requests and responses. */
export interface Provider {
  readonly path: string;
  readonly headers: (apiKey: string) => Readonly<Record<string, string>>;
  readonly body: (request: ChatRequest, isStream: boolean) => object;
  /** Reads a whole response; null if it does not have this format. */
  readonly whole: (answer: unknown) => AnswerPart | null;
  /** Reads the data of an event. */
  readonly part: (event: unknown) => AnswerPart;
}

const NOTHING: AnswerPart = { text: "" };

/** Chat completions, which many model servers support. */
const OPENAI: Provider = {
  path: "/chat/completions",
  headers: (apiKey) => ({ Authorization: `Bearer ${apiKey}` }),
  body: ({ model, system, messages, maxTokens, temperature }, isStream) => ({
    model,
    messages: [...(system === "" ? [] : [{ role: "system", content: system }]), ...messages],
    max_tokens: maxTokens,
    temperature,
    ...(isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
  }),
  whole: (answer) => {
    const [choice] = listIn(answer, "choices");
    const message = valueIn(choice, "message");
    const text = valueIn(message, "content");
    if (choice === undefined || typeof text !== "string") return null;
    return { text, stopReason: textIn(choice, "finish_reason"), ...openaiUsage(answer) };
  },
  part: (event) => {
    const [choice] = listIn(event, "choices");
    return {
      text: textIn(valueIn(choice, "delta"), "content") ?? "",
      stopReason: textIn(choice, "finish_reason"),
      isError: isRecord(event) && event["error"] !== undefined,
      ...openaiUsage(event),
    };
  },
};

function openaiUsage(answer: unknown): Pick<AnswerPart, "inputTokens" | "outputTokens"> {
  const usage = valueIn(answer, "usage");
  return {
    inputTokens: numberIn(usage, "prompt_tokens"),
    outputTokens: numberIn(usage, "completion_tokens"),
  };
}

const ANTHROPIC: Provider = {
  path: "/v1/messages",
  headers: (apiKey) => ({ "x-api-key": apiKey, "anthropic-version": "2023-06-01" }),
  body: ({ model, system, messages, maxTokens, temperature }, isStream) => ({
    model,
    messages,
    max_tokens: maxTokens,
    temperature,
    ...(system === "" ? {} : { system }),
    ...(isStream ? { stream: true } : {}),
  }),
  whole: (answer) => {
    if (textIn(answer, "type") !== "message") return null;
    const text = listIn(answer, "content")
      .map((block) => textIn(block, "text") ?? "")
      .join("");
    return { text, stopReason: textIn(answer, "stop_reason"), ...anthropicUsage(answer) };
  },
  part: (event) => {
    switch (textIn(event, "type")) {
      case "message_start":
        return { ...NOTHING, ...anthropicUsage(valueIn(event, "message")) };
      case "content_block_delta":
        return { text: textIn(valueIn(event, "delta"), "text") ?? "" };
      case "message_delta":
        return {
          ...NOTHING,
          stopReason: textIn(valueIn(event, "delta"), "stop_reason"),
          outputTokens: numberIn(valueIn(event, "usage"), "output_tokens"),
        };
      case "error":
        return { ...NOTHING, isError: true };
      case undefined:
      default:
        return NOTHING;
    }
  },
};

function anthropicUsage(message: unknown): Pick<AnswerPart, "inputTokens" | "outputTokens"> {
  const usage = valueIn(message, "usage");
  return {
    inputTokens: numberIn(usage, "input_tokens"),
    outputTokens: numberIn(usage, "output_tokens"),
  };
}

/** The providers by their API format. */
export const PROVIDERS: Readonly<Record<AiConfig["provider"], Provider>> = {
  openai: OPENAI,
  anthropic: ANTHROPIC,
};

function valueIn(from: unknown, key: string): unknown {
  return isRecord(from) ? from[key] : undefined;
}

function textIn(from: unknown, key: string): string | undefined {
  const value = valueIn(from, key);
  return typeof value === "string" ? value : undefined;
}

function numberIn(from: unknown, key: string): number | undefined {
  const value = valueIn(from, key);
  return typeof value === "number" && value >= 0 ? Math.ceil(value) : undefined;
}

function listIn(from: unknown, key: string): readonly unknown[] {
  const value = valueIn(from, key);
  return Array.isArray(value) ? value : [];
}
