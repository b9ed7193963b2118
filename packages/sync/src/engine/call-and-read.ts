import { createParser } from "eventsource-parser";
import { isString, objectOf } from "@pylonsync/protocol";
import { parseAnswer } from "../connection/answer.ts";
import { inTime } from "../connection/deadline.ts";
import { PylonClientError } from "../connection/errors.ts";
import { authorizationOf, FUNCTION_MS, type FunctionRequest } from "./send-call.ts";

const isError = /* @__PURE__ */ objectOf({ code: isString, message: isString });

/** Calls a function and yields the chunks that it streams, as `streamFunction`. */
export async function* callAndRead({
  http,
  path,
  args,
  token,
}: Pick<FunctionRequest, "http" | "path" | "args" | "token">): AsyncGenerator<string, unknown> {
  const response = await http
    .open("POST", path, args, authorizationOf(token), { timeoutMs: FUNCTION_MS })
    .catch((error: unknown) => {
      http.author.refreshAfter(error);
      throw error;
    });
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data }) });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const reading =
        reader === undefined ? undefined : inTime(http.platform, FUNCTION_MS, reader.read());
      const chunk = await reading?.catch(() => undefined);
      if (chunk === undefined || chunk.done)
        throw PylonClientError.ofClient("STREAM_ENDED", "The stream ended before its result.");
      parser.feed(decoder.decode(chunk.value, { stream: true }));
      for (const { event, data } of events.splice(0)) {
        if (event === "result") return JSON.parse(data) as unknown;
        if (event === "error")
          throw new PylonClientError(response.status, parseAnswer(isError, JSON.parse(data)));
        yield data;
      }
    }
  } finally {
    // If the caller stops reading, the connection is closed.
    void reader?.cancel().catch(() => undefined);
  }
}
