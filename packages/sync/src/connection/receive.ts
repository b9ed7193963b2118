import { unexpected } from "./answer.ts";
import { Deadline } from "./deadline.ts";
import { unreachable } from "./errors.ts";
import type { HttpClient, RequestOptions } from "./http.ts";
import { errorOf, readAnswer, requireEventStream } from "./response.ts";

/** The time within which a response must begin, in milliseconds. */
const ANSWER_MS = 20_000;
/** The maximum pause within a response, in milliseconds. */
const STALL_MS = 10_000;
/** The minimum upload rate, in bytes per millisecond. */
const SLOWEST_UPLOAD = 8;

/** A request that was sent. */
export interface SentRequest extends RequestOptions {
  readonly response: Promise<Response>;
  readonly abort: AbortController;
  readonly http: HttpClient;
  /** The length of its body. */
  readonly size: number;
}

/** Returns the parsed JSON of a response. @throws PylonClientError */
export function readJson(sent: SentRequest): Promise<unknown> {
  const deadline = deadlineOf(sent);
  return receive(sent, deadline, async (response, onData) =>
    readAnswer(response, await textOf(response, onData)),
  ).finally(deadline.end);
}

/** Returns a response that is an event stream, for its reader. @throws PylonClientError */
export function openStream(sent: SentRequest): Promise<Response> {
  return receive(sent, deadlineOf(sent), async (response) => {
    if (!response.ok) throw errorOf(response, await response.text().catch(() => ""));
    requireEventStream(response);
    return response;
  });
}

function deadlineOf({ http, signal, abort }: SentRequest): Deadline {
  return new Deadline(http.platform, signal, abort);
}

function receive<T>(
  sent: SentRequest,
  deadline: Deadline,
  take: (response: Response, onData: () => void) => Promise<T>,
): Promise<T> {
  const { http, timeoutMs = ANSWER_MS } = sent;
  deadline.within(timeoutMs + sent.size / SLOWEST_UPLOAD);
  const onData = (): void => {
    http.receivedAt = http.platform.now();
    deadline.within(STALL_MS);
  };
  return deadline.hold(begun(sent, onData).then((response) => take(response, onData)));
}

async function begun(
  { response: asked, http: { baseUrl } }: SentRequest,
  onData: () => void,
): Promise<Response> {
  const response = await asked.catch((cause: unknown) => {
    throw unreachable(cause);
  });
  onData();
  // A browser drops the token when redirected to another origin, so that response says nothing.
  if (response.redirected && new URL(response.url).origin !== new URL(baseUrl).origin)
    throw unexpected(response);
  return response;
}

/** Reads the body in chunks if possible: a large body may take long, but must not stall. */
async function textOf(response: Response, onData: () => void): Promise<string> {
  try {
    const reader = response.body?.getReader();
    if (reader === undefined) return await response.text();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      onData();
      text += decoder.decode(value, { stream: true });
    }
  } catch (cause) {
    throw unreachable(cause);
  }
}
