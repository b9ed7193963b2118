import {
  bearerProtocol,
  LIVE_PROTOCOL,
  type CommitMessage,
  type LiveMessage,
} from "@pylonsync/protocol";
import { until, type TestClient } from "./client.ts";

/** A socket of version 2 that records everything it receives. */
export class QuerySocket {
  readonly socket: WebSocket;
  readonly messages: LiveMessage[] = [];
  texts = "";
  closed: number | null = null;
  /** Ids of functions, distinct from those of queries. */
  #functions = 1000;

  constructor(client: TestClient) {
    this.socket = new WebSocket(`${client.url.replace("http", "ws")}/ws`, [
      ...(client.token === null ? [] : [bearerProtocol(client.token)]),
      LIVE_PROTOCOL,
    ]);
    this.socket.onmessage = ({ data }) => {
      this.texts += String(data);
      this.messages.push(JSON.parse(String(data)) as LiveMessage);
    };
    this.socket.onclose = ({ code }) => (this.closed = code);
  }

  static async open(client: TestClient): Promise<QuerySocket> {
    const socket = new QuerySocket(client);
    await until(() => socket.messages.length > 0);
    return socket;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  all<T extends LiveMessage["type"]>(type: T): Extract<LiveMessage, { readonly type: T }>[] {
    return this.messages.filter(
      (message): message is Extract<LiveMessage, { readonly type: T }> => message.type === type,
    );
  }

  /** Subscribes, and waits until it is ready. @returns the server's number */
  async subscribe(query: object): Promise<number> {
    const id = (this.all("joined").at(-1)?.id ?? 0) + 1;
    this.send({ type: "subscribe", id, ...query });
    const joined = (): number | undefined => this.all("joined").find((one) => one.id === id)?.sub;
    await until(() => this.all("ready").some(({ sub }) => sub === joined()));
    return joined() ?? 0;
  }

  async commits(count: number): Promise<CommitMessage[]> {
    await until(() => this.all("commit").length >= count);
    return this.all("commit");
  }

  /** Subscribes to a function. @returns the id */
  call(name: string, args?: object): number {
    const id = (this.#functions += 1);
    this.send({ type: "subscribe", id, function: name, ...(args === undefined ? {} : { args }) });
    return id;
  }

  /** The messages about a live function, in order: results, and codes of failures. */
  outcomes(id: number): unknown[] {
    const numbers = new Set(this.all("joined").flatMap((one) => (one.id === id ? [one.sub] : [])));
    return this.messages.flatMap((message) => {
      if (message.type === "result" && numbers.has(message.sub)) return [message.value];
      if (message.type === "failed" && numbers.has(message.sub)) return [{ failed: message.code }];
      return [];
    });
  }

  /** Waits for the next outcomes. @returns the first `count` of them */
  async told(id: number, count: number): Promise<unknown[]> {
    await until(() => this.outcomes(id).length >= count);
    return this.outcomes(id);
  }
}
