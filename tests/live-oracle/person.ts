import { expect } from "bun:test";
import { until, type TestClient } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";

/** The maximum number of calls that one person follows. */
const MAX_OPEN = 6;

/** One user, with a socket and the calls of live functions that are open on it. */
export class Person<Ask extends { readonly name: string; readonly args: object }> {
  readonly client: TestClient;
  readonly socket: QuerySocket;
  readonly #open = new Map<number, Ask>();

  private constructor(client: TestClient, socket: QuerySocket) {
    this.client = client;
    this.socket = socket;
  }

  static async connect<Ask extends { readonly name: string; readonly args: object }>(
    client: TestClient,
  ): Promise<Person<Ask>> {
    return new Person<Ask>(client, await QuerySocket.open(client));
  }

  /** Opens a call, unless enough are open. */
  follow(ask: Ask): void {
    if (this.#open.size < MAX_OPEN) this.#open.set(this.socket.call(ask.name, ask.args), ask);
  }

  /** Closes one of the open calls. @param place chooses it */
  leave(place: number): void {
    const id = [...this.#open.keys()][place % Math.max(1, this.#open.size)];
    if (id === undefined) return;
    this.#open.delete(id);
    this.socket.send({ type: "unsubscribe", id });
  }

  /** Closes the socket. @returns the same user with another one, and the same calls */
  async comeBack(): Promise<Person<Ask>> {
    this.socket.socket.close();
    const back = await Person.connect<Ask>(this.client);
    for (const ask of this.#open.values()) back.follow(ask);
    return back;
  }

  /** Waits until each open call has the result that a request has now. */
  async compare(
    fresh: (client: TestClient, ask: Ask) => Promise<unknown>,
    outcomeOf: (person: Person<Ask>, id: number) => unknown,
  ): Promise<void> {
    for (const [id, ask] of this.#open) {
      const expected = await fresh(this.client, ask);
      const isEqual = (): boolean => Bun.deepEquals(outcomeOf(this, id), expected);
      await until(isEqual, 3_000).catch(() => undefined);
      expect({ ask, live: outcomeOf(this, id) }).toEqual({ ask, live: expected });
    }
  }
}
