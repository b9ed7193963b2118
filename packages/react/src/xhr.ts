import { PylonClientError, readAnswer, type SyncEngine } from "@pylonsync/sync";

/** A request that reports the progress of its upload. */
export interface XhrRequest {
  readonly sync: SyncEngine;
  readonly method: string;
  /** `/api/...` */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Blob;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of body bytes sent so far. */
  readonly onProgress?: (sent: number) => void;
  /** Aborts the request after this many milliseconds without traffic. */
  readonly silenceMs?: number;
}

/** A successful response. */
export interface XhrAnswer {
  /** Returns null if the header is missing, or hidden by CORS. */
  readonly header: (name: string) => string | null;
  /** The parsed JSON; undefined for an empty body. */
  readonly body: unknown;
}

/**
 * Sends a request as the engine's user. It uses `XMLHttpRequest`, because `fetch` does not report
 * upload progress.
 *
 * @throws PylonClientError such as PAYLOAD_TOO_LARGE or UNREACHABLE; the signal's reason
 */
export function sendXhr(options: XhrRequest): Promise<XhrAnswer> {
  const { sync, method, path, headers, body = null, signal, onProgress, silenceMs } = options;
  const { promise, resolve, reject } = Promise.withResolvers<XhrAnswer>();
  const request = new XMLHttpRequest();
  request.open(method, `${sync.baseUrl.replace(/\/$/, "")}${path}`);
  request.withCredentials = sync.credentials === "cookie";
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  const { token } = sync.session;
  if (token !== null) request.setRequestHeader("Authorization", `Bearer ${token}`);
  const unreachable = (): void =>
    reject(PylonClientError.ofClient("UNREACHABLE", "The server can't be reached."));
  let stopTimer = (): void => undefined;
  const heard = (): void => {
    stopTimer();
    if (silenceMs !== undefined)
      stopTimer = sync.platform.after(silenceMs, () => {
        unreachable();
        request.abort();
      });
  };
  request.upload.onprogress = ({ loaded }) => {
    heard();
    onProgress?.(loaded);
  };
  request.onload = () => {
    const type = request.getResponseHeader("Content-Type") ?? "";
    const { status, responseText: text } = request;
    const isEmpty = text === "" && status >= 200 && status < 300;
    try {
      const head = new Response(null, { status, headers: { "Content-Type": type } });
      resolve({
        header: (name) => request.getResponseHeader(name),
        body: isEmpty ? undefined : readAnswer(head, text),
      });
    } catch (error) {
      sync.session.refreshAfter(error);
      reject(error);
    }
  };
  request.onerror = unreachable;
  request.onabort = () => reject(signal?.reason);
  const abort = (): void => request.abort();
  signal?.addEventListener("abort", abort, { once: true });
  request.onloadend = () => {
    stopTimer();
    signal?.removeEventListener("abort", abort);
  };
  if (signal?.aborted === true) reject(signal.reason);
  else {
    heard();
    request.send(body);
  }
  return promise;
}
