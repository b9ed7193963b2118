import type { Messages } from "./messages.ts";

/**
 * Reads an event stream to its end: each event is a message `{event, data}`, where data is the
 * parsed JSON of its text, or the text itself if it is not JSON. A comment is a message of the
 * event "comment".
 */
export async function readEvents(response: Response, messages: Messages): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) messages.add(eventOf(block));
  }
  messages.end("the stream is over");
}

function eventOf(block: string): { readonly event: string; readonly data: unknown } {
  const lines = block.split("\n");
  const values = (prefix: string): string[] =>
    lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length).trim());
  const data = values("data:");
  if (data.length === 0) return { event: "comment", data: lines.join("\n") };
  const [event = "message"] = values("event:");
  return { event, data: valueOf(data.join("\n")) };
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
