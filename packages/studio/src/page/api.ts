/** An error response of the server. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  /** The field or the argument that the error is about. */
  readonly field: string | undefined;
  readonly hint: string | undefined;

  /** @param body the parsed response, of any shape */
  constructor(status: number, body: unknown) {
    const error = textsOf(textsOf(body)["error"] ?? operationError(body));
    const text = (name: string): string | undefined =>
      typeof error[name] === "string" ? error[name] : undefined;
    super(text("message") ?? `The server responded with ${status}.`);
    this.status = status;
    this.code = text("code") ?? `HTTP_${status}`;
    this.field = text("field");
    this.hint = text("hint");
  }
}

/** Returns the error of the operation because of which a transaction was rolled back. */
function operationError(body: unknown): unknown {
  const { results } = textsOf(body);
  return Array.isArray(results)
    ? results.map((result) => textsOf(result)["error"]).find((error) => error !== undefined)
    : undefined;
}

function textsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Calls the server's HTTP API as the admin. */
export class Api {
  readonly #token: string;
  readonly #onEnded: () => void;
  #hasEnded = false;

  /** @param onEnded called once, when the server no longer accepts the token */
  constructor(token: string, onEnded: () => void) {
    this.#token = token;
    this.#onEnded = onEnded;
  }

  /** @throws ApiError */
  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return bodyOf<T>(await this.#send(path, { signal: signal ?? null }));
  }

  /** @throws ApiError */
  async send<T>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
    return bodyOf<T>(
      await this.#send(path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  }

  /**
   * Reads a response line by line while it arrives, and calls back for each line that is not empty.
   *
   * @throws ApiError; an abort of the signal rejects too
   */
  async follow(path: string, signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
    const { body } = await this.#send(path, { signal });
    if (body === null) return;
    let rest = "";
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + part).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") onLine(line);
    }
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    // After some wrong tokens, the server refuses right ones from this address too.
    if (this.#hasEnded) throw new ApiError(401, null);
    const response = await fetch(path, {
      ...init,
      headers: {
        Authorization: `Bearer ${this.#token}`,
        ...(init.body === undefined ? {} : { "Content-Type": "application/json" }),
      },
    });
    if (response.ok) return response;
    if (response.status === 401 && !this.#hasEnded) {
      this.#hasEnded = true;
      this.#onEnded();
    }
    throw new ApiError(response.status, await jsonOf(response));
  }
}

/** How Studio becomes the admin. */
export interface DevSession {
  /** Null: a person has to enter one. */
  readonly token: string | null;
  readonly hasMailbox: boolean;
  /** Why there is no token, if there is a reason. */
  readonly hint?: string | undefined;
}

/** Asks for a token: in dev mode, the server gives one to pages on its own machine. */
export async function devSession(): Promise<DevSession> {
  const response = await fetch("/studio/session", { method: "POST" });
  const body = await jsonOf(response);
  if (!response.ok)
    return { token: null, hasMailbox: false, hint: new ApiError(response.status, body).hint };
  const { token, has_mailbox: hasMailbox } = textsOf(body);
  return { token: typeof token === "string" ? token : null, hasMailbox: hasMailbox === true };
}

/** Whether the server accepts the token as the admin's. */
export async function isAdminToken(token: string): Promise<boolean> {
  const response = await fetch("/api/auth/session", {
    headers: { Authorization: `Bearer ${token}` },
  });
  return response.ok && textsOf(textsOf(await jsonOf(response))["session"])["is_admin"] === true;
}

async function bodyOf<T>(response: Response): Promise<T> {
  const body: T = await response.json();
  return body;
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}
