import { PylonError } from "@pylonsync/protocol";
import { toPublicError } from "../request/responses.ts";
import type { EncodedResult } from "./encode-result.ts";
import type { FunctionStream } from "./runner.ts";

const encoder = new TextEncoder();

/**
 * Answers a call as an event stream: each `stream.write` is an unnamed event, `writeEvent` a named
 * one, and the end is one `result` or `error`. A client that goes away aborts the call.
 */
export function streamCall(
  run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
  requestId: string,
): Response {
  const abort = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      // Work that a handler left behind may write after the end, where nobody reads.
      let isOpen = true;
      const send = (text: string): void => {
        if (isOpen && !abort.signal.aborted) controller.enqueue(encoder.encode(text));
      };
      const stream: FunctionStream = {
        write: (text) => send(sseEvent(null, textOf(text))),
        writeEvent: (event, text) => send(sseEvent(textOf(event), textOf(text))),
      };
      try {
        send(sseEvent("result", (await run(stream, abort.signal)).json));
      } catch (error) {
        const shown =
          toPublicError(error) ?? new PylonError("INTERNAL", "Something failed on our side.");
        send(sseEvent("error", JSON.stringify({ ...shown.toBody().error, request_id: requestId })));
      }
      isOpen = false;
      if (!abort.signal.aborted) controller.close();
    },
    cancel: () => abort.abort(new PylonError("INTERNAL", "The client went away.")),
  });
  return new Response(body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    },
  });
}

/** @throws TypeError for what has no text of its own, such as an object */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const given = value === null ? "null" : typeof value;
  throw new TypeError(`ctx.stream writes text, and was given ${given}: use JSON.stringify.`);
}

/** One event; a text of several lines is several `data:` lines. */
function sseEvent(event: string | null, text: string): string {
  const name = event === null ? "" : `event: ${event.replaceAll(/[\r\n]/g, " ")}\n`;
  const data = text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join("");
  return `${name}${data}\n`;
}
