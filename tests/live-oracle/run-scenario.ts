import type { Row } from "@pylonsync/protocol";
import { expect } from "bun:test";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, startServer } from "../support/server.ts";
import { LiveClient, type LiveView } from "./live-client.ts";
import {
  CLIENTS,
  USERS,
  type Cursor,
  type Query,
  type Scenario,
  type Step,
  type Write,
} from "./scenario.ts";
import { appFor, EMPTY, expectedRows, type State } from "./world.ts";

interface User {
  readonly userId: string | null;
  readonly token: string | null;
}

/** Runs a scenario against a server. @throws Error when a client has or hears what it should not */
export async function runScenario(scenario: Scenario): Promise<void> {
  const server = await startServer(appFor(scenario));
  try {
    await new Run(scenario, server.url).run();
  } finally {
    await server.stop();
  }
}

class Run {
  readonly #scenario: Scenario;
  readonly #url: string;
  readonly #admin: TestClient;
  readonly #users: User[] = [];
  readonly #clients: LiveClient[] = [];
  readonly #complaints: string[] = [];
  /** What the database was since the clients last had everything; the last one is what it is. */
  #states: State[] = [EMPTY];

  constructor(scenario: Scenario, url: string) {
    this.#scenario = scenario;
    this.#url = url;
    this.#admin = new TestClient(url, ADMIN_TOKEN);
  }

  async run(): Promise<void> {
    for (let index = 1; index < USERS; index += 1)
      this.#users.push(await TestClient.guest(this.#url));
    this.#users.push({ userId: null, token: null });
    for (let index = 0; index < CLIENTS; index += 1) {
      const client = new LiveClient(this.#url, {
        row: (view, row) => this.#sawRow(client, view, row),
        commit: () => this.#sawCommit(client),
        complaint: (text) => this.#complaints.push(`client ${index}: ${text}`),
      });
      this.#clients.push(client);
      await client.connect(this.#user(index));
    }
    for (const [index, query] of this.#scenario.queries.entries())
      this.#clients[index % CLIENTS]?.subscribe(query);
    await this.#check("at the start");
    for (const [index, step] of this.#scenario.steps.entries()) {
      await this.#do(step);
      await this.#check(`step ${index} ${JSON.stringify(step)}`);
    }
    for (const client of this.#clients) client.disconnect();
  }

  #user(index: number): User {
    return this.#users[index] ?? { userId: null, token: null };
  }

  async #do(step: Step): Promise<void> {
    if (step.kind === "commit") {
      for (const transaction of step.transactions) await this.#commit(transaction);
      return;
    }
    const client = this.#clients[step.client];
    if (client === undefined) return;
    if (step.kind === "away") await this.#leaveAndReturn(client, step);
    else if (step.kind === "subscribe") client.subscribe(step.query);
    else if (step.kind === "unsubscribe") {
      const ids = [...client.views.keys()];
      const id = ids[step.which % Math.max(ids.length, 1)];
      if (id !== undefined) client.unsubscribe(id);
    } else {
      const [first = [], ...others] = step.transactions;
      const writing = this.#commit(first);
      client.subscribe(step.query);
      await writing;
      for (const transaction of others) await this.#commit(transaction);
    }
  }

  async #leaveAndReturn(
    client: LiveClient,
    { user, cursor, transactions }: Extract<Step, { readonly kind: "away" }>,
  ): Promise<void> {
    client.disconnect();
    for (const transaction of transactions) await this.#commit(transaction);
    const known = this.#users.find(({ userId }) => userId === client.userId);
    await client.connect((user === null ? known : undefined) ?? this.#user(user ?? 0));
    for (const view of client.views.values()) client.resume(view, knownOf(view, cursor));
  }

  /** Writes to the database and to what is expected of it. */
  async #commit(transaction: readonly Write[]): Promise<void> {
    const tables = new Map(
      [...(this.#states.at(-1) ?? EMPTY)].map(([name, rows]) => [name, new Map(rows)]),
    );
    const operations: object[] = [];
    for (const { entity, row, values } of transaction) {
      const rows = tables.get(entity);
      const id = `${entity.toLowerCase()}${row}`;
      const isThere = rows?.has(id) === true;
      if (values === null) {
        if (!isThere) continue;
        rows?.delete(id);
        operations.push({ op: "delete", entity, id });
        continue;
      }
      const data = { ...values, owner: this.#users[values.owner]?.userId ?? "nobody" };
      rows?.set(id, { id, ...data });
      operations.push(
        isThere
          ? { op: "update", entity, id, data }
          : { op: "insert", entity, data: { id, ...data } },
      );
    }
    if (operations.length === 0) return;
    this.#states.push(tables);
    const answer = await this.#admin.request("POST", "/api/transact", operations);
    if (answer.body["committed"] !== true) throw new Error(answer.text);
  }

  async #check(about: string): Promise<void> {
    const pull = await this.#admin.request("GET", "/api/sync/pull?since=0&limit=0");
    const { last_seq: head } = pull.body["cursor"] as { readonly last_seq: number };
    for (const client of this.#clients) await client.reach(head);
    const state = this.#states.at(-1) ?? EMPTY;
    for (const [index, client] of this.#clients.entries()) {
      for (const { query, rows } of client.views.values()) {
        const expected = this.#expected(state, client, query);
        expect([about, index, query, sorted(rows)]).toEqual([
          about,
          index,
          query,
          sorted(expected),
        ]);
      }
    }
    expect([about, this.#complaints]).toEqual([about, []]);
    this.#states = [state];
  }

  #expected(state: State, client: LiveClient, query: Query): ReadonlyMap<string, Row> {
    return expectedRows(this.#scenario, state, client.userId, query);
  }

  /** Whatever version of a row comes was there, and was readable for the client when it was. */
  #sawRow(client: LiveClient, { query }: LiveView, row: Row): void {
    const whole: Query = { ...query, where: {}, limit: undefined };
    const isFair = this.#states.some((state) =>
      Bun.deepEquals(this.#expected(state, client, whole).get(row.id), row),
    );
    if (!isFair) this.#complaints.push(`a row that it may not read: ${JSON.stringify(row)}`);
  }

  /** All that a client shows after a commit was there at one time. */
  #sawCommit(client: LiveClient): void {
    const ready = [...client.views.values()].filter(({ isReady }) => isReady);
    const isWhole = this.#states.some((state) =>
      ready.every(({ query, rows }) =>
        Bun.deepEquals(sorted(rows), sorted(this.#expected(state, client, query))),
      ),
    );
    if (!isWhole) this.#complaints.push("a part of a transaction is shown without the other parts");
  }
}

function sorted(rows: ReadonlyMap<string, Row>): Row[] {
  return [...rows.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** What a client says that it has. */
function knownOf({ ready, rows }: LiveView, cursor: Cursor): object | undefined {
  if (ready === null || cursor === "none") return undefined;
  const known = { seq: ready.seq, epoch: ready.epoch, ids: [...rows.keys()] };
  switch (cursor) {
    case "exact":
      return known;
    case "older":
      return { ...known, seq: Math.max(0, ready.seq - 2) };
    case "made up":
      return { ...known, seq: ready.seq + 1000 };
    case "other log":
      return { ...known, epoch: "another" };
  }
}
