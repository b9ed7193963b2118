import type { ActionCtx } from "@pylonsync/functions";
import { createParser } from "eventsource-parser";

/** A turn of the conversation, in the form that the model receives. */
export interface Turn {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/**
 * Calls a model with the chat completions API, which many providers and model servers support.
 *
 * @returns the parts of the answer; text that arrives together is one part
 */
export async function* askModel(
  { env, fetch, signal }: Pick<ActionCtx, "env" | "fetch" | "signal">,
  messages: readonly Turn[],
): AsyncGenerator<string> {
  const { PYLON_AI_BASE_URL = "https://api.openai.com/v1", PYLON_AI_API_KEY, PYLON_AI_MODEL } = env;
  const response = await fetch(`${PYLON_AI_BASE_URL}/chat/completions`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(PYLON_AI_API_KEY === undefined ? {} : { Authorization: `Bearer ${PYLON_AI_API_KEY}` }),
    },
    body: JSON.stringify({ model: PYLON_AI_MODEL, messages, stream: true }),
    signal,
  });
  if (!response.ok || response.body === null)
    throw new Error(`The model answered ${response.status}.`);
  let come = "";
  const parser = createParser({
    onEvent: ({ data }) => {
      come += data === "[DONE]" ? "" : textIn(JSON.parse(data));
    },
  });
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    parser.feed(text);
    if (come !== "") yield come;
    come = "";
  }
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
}

function textIn(chunk: Chunk): string {
  return chunk.choices?.[0]?.delta?.content ?? "";
}
