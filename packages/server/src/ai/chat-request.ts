import { MAX_AI_MESSAGES, PylonError } from "@pylonsync/protocol";
import type { AiSettings } from "@pylonsync/sdk/plugins";
import type { AiConfig } from "../config/config.ts";
import { isRecord } from "../util/is-record.ts";

const FIELDS = ["messages", "prompt", "system", "model", "max_tokens", "temperature"] as const;
const ROLES = ["user", "assistant"] as const;

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: (typeof ROLES)[number];
  readonly content: string;
}

/** A request to the model. */
export interface ChatRequest {
  readonly model: string;
  /** Empty for none. */
  readonly system: string;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  /** Undefined: the model's default. */
  readonly temperature: number | undefined;
}

/**
 * Reads the body of a request.
 *
 * @throws PylonError INVALID_DATA with the `field`
 */
export function chatRequest(
  body: unknown,
  config: Pick<AiConfig, "model" | "maxTokens">,
  settings: Pick<AiSettings, "models">,
): ChatRequest {
  if (!isRecord(body)) throw invalid("messages", 'Send {"messages": [...]}.');
  const [unknown] = Object.keys(body).filter((key) => !FIELDS.some((known) => known === key));
  if (unknown !== undefined)
    throw invalid(unknown.slice(0, 80), `Unknown field. Use ${FIELDS.join(", ")}.`);
  const { model = config.model, max_tokens: maxTokens = config.maxTokens, temperature } = body;
  const { messages, system } = conversation(body);
  if (typeof model !== "string" || ![config.model, ...settings.models].includes(model))
    throw invalid("model", `Use ${[config.model, ...settings.models].join(", ")}.`);
  if (!isWhole(maxTokens, config.maxTokens))
    throw invalid("max_tokens", `Use a whole number from 1 to ${config.maxTokens}.`);
  if (temperature !== undefined && !isTemperature(temperature))
    throw invalid("temperature", "Use a number from 0 to 2.");
  return { model, system, messages, maxTokens, temperature };
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= max;
}

function isTemperature(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 2;
}

/** `prompt` is a conversation of one message. System messages come first. */
function conversation({ messages, prompt, system }: Readonly<Record<string, unknown>>): {
  readonly messages: readonly ChatMessage[];
  readonly system: string;
} {
  if (system !== undefined && typeof system !== "string") throw invalid("system", "Use a string.");
  const systems = system === undefined ? [] : [system];
  if (typeof prompt === "string" && messages === undefined)
    return { messages: [{ role: "user", content: prompt }], system: systems.join("\n\n") };
  if (prompt !== undefined) throw invalid("prompt", "Send a string, or use messages instead.");
  if (!Array.isArray(messages) || messages.length === 0 || messages.length > MAX_AI_MESSAGES)
    throw invalid("messages", `Send a list of 1 to ${MAX_AI_MESSAGES} messages.`);
  const turns: ChatMessage[] = [];
  for (const [index, message] of messages.entries()) {
    const { role, content } = isRecord(message) ? message : {};
    const known = ROLES.find((one) => one === role);
    if (typeof content !== "string" || (known === undefined && role !== "system"))
      throw invalid(
        `messages[${index}]`,
        'A message is {"role": "user", "content": "..."}; roles are user, assistant, system.',
      );
    if (known === undefined) systems.push(content);
    else turns.push({ role: known, content });
  }
  if (turns.length === 0)
    throw invalid("messages", "Send at least one message with the role user.");
  return { messages: turns, system: systems.join("\n\n") };
}

function invalid(field: string, hint: string): PylonError {
  return new PylonError("INVALID_DATA", `"${field}" is not valid.`, { field, hint });
}
