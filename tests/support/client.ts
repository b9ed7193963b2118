import { bearerProtocol, type ChangeEvent } from "@pylonsync/protocol";

export interface Answer {
  readonly status: number;
  readonly text: string;
  // Tests read responses of many forms.
  readonly body: Readonly<Record<string, unknown>>;
}

/** One caller of a server's HTTP API. */
export class TestClient {
  readonly url: string;
  readonly token: string | null;
  readonly userId: string;

  constructor(url: string, token: string | null, userId = "") {
    this.url = url;
    this.token = token;
    this.userId = userId;
  }

  /** Signs in a guest. */
  static async guest(url: string): Promise<TestClient> {
    const { body } = await new TestClient(url, null).request("POST", "/api/auth/guest");
    return new TestClient(url, body["token"] as string, body["user_id"] as string);
  }

  /** Signs up a user of an app with an entity `User` of an `email` and a `passwordHash`. */
  static async signUp(url: string, name: string): Promise<TestClient> {
    const anybody = new TestClient(url, null);
    const { body } = await anybody.request("POST", "/api/auth/password/register", {
      email: `${name}@example.com`,
      password: "a long enough passw0rd",
    });
    return new TestClient(url, body["token"] as string, body["user_id"] as string);
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(this.token === null ? {} : { Authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, body: parse(text) };
  }

  async insert(entity: string, row: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = await this.request("POST", `/api/entities/${entity}`, row);
    if (answer.status !== 201)
      throw new Error(`insert was answered ${answer.status}: ${answer.text}`);
    return answer.body["id"] as string;
  }

  /** Opens a live socket. @param since the replica's cursor; absent for an older client */
  live(since?: number): LiveSocket {
    const query = since === undefined ? "" : `?since=${since}`;
    return new LiveSocket(`${this.url.replace("http", "ws")}/ws${query}`, this.token);
  }
}

/** A socket that records everything it receives. */
export class LiveSocket {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;

  constructor(url: string, token: string | null) {
    this.socket = new WebSocket(url, token === null ? [] : [bearerProtocol(token)]);
    this.socket.onmessage = ({ data }) => this.texts.push(String(data));
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  get events(): ChangeEvent[] {
    return this.texts
      .map((text) => JSON.parse(text) as ChangeEvent)
      .filter(({ kind }) => kind !== undefined);
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN);
    return this;
  }
  /** Waits until it is open and has received hello: from then on it receives everything. */
  async ready(): Promise<this> {
    await until(() => this.texts.some((text) => text.includes('"hello"')));
    return this;
  }
  async heard(count: number): Promise<ChangeEvent[]> {
    await until(() => this.events.length >= count);
    return this.events;
  }
  close(): void {
    this.socket.close();
  }
}

/** The shortest and the longest pause of {@link until}, in milliseconds; the pauses grow. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 25;

/**
 * Waits for a condition. An asynchronous one, which queries a page or a server, is evaluated less
 * and less often, because each evaluation uses processor time that the awaited work needs. A busy
 * machine does not use up the time: of each turn only the duration on an idle machine is counted.
 *
 * @throws Error if it does not become true in time
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  let counted = 0;
  let before = performance.now();
  for (let result = condition(); !(await result); result = condition()) {
    if (counted > withinMs) throw new Error("It did not come true in time.");
    const isAsked = result instanceof Promise;
    const pause = isAsked
      ? Math.min(FIRST_PAUSE_MS + counted / 10, LONGEST_PAUSE_MS)
      : FIRST_PAUSE_MS;
    await Bun.sleep(pause);
    const now = performance.now();
    counted += Math.min(now - before, pause + 20);
    before = now;
  }
}

/** Waits long enough for a message that must not arrive. */
export function aMoment(): Promise<void> {
  return Bun.sleep(150);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
