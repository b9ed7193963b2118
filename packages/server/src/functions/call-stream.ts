import { PylonError } from "@pylonsync/protocol";
import type { FunctionStream } from "./runner.ts";

const encoder = new TextEncoder();

/**
 * Answers a call as an event stream: each `stream.write` is an unnamed event, `writeEvent` a named
 * one, and the end is one `result` or `error`. A client that goes away aborts the call.
 */
export function streamCall(
  run: (stream: FunctionStream, signal: AbortSignal) => Promise<unknown>,
  requestId: string,
): Response {
  const abort = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (text: string): void => {
        if (!abort.signal.aborted) controller.enqueue(encoder.encode(text));
      };
      const stream: FunctionStream = {
        write: (text) => send(sseEvent(null, String(text))),
        writeEvent: (event, text) => send(sseEvent(event, String(text))),
      };
      try {
        send(sseEvent("result", JSON.stringify(await run(stream, abort.signal))));
      } catch (error) {
        const shown =
          error instanceof PylonError
            ? error
            : new PylonError("INTERNAL", "Something failed on our side.");
        send(sseEvent("error", JSON.stringify({ ...shown.toBody().error, request_id: requestId })));
      }
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

/** One event; a text of several lines is several `data:` lines. */
function sseEvent(event: string | null, text: string): string {
  const name = event === null ? "" : `event: ${event.replaceAll(/[\r\n]/g, " ")}\n`;
  const data = text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join("");
  return `${name}${data}\n`;
}
