import type { Row } from "@pylonsync/protocol";
import { expect } from "bun:test";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";
import { LiveClient, type LivePart, type LiveView } from "./live-client.ts";
import {
  CLIENTS,
  USERS,
  type Cursor,
  type Query,
  type RowValues,
  type Scenario,
  type Step,
  type Write,
} from "./scenario.ts";
import { appFor, EMPTY, expectedParts, expectedRows, nameIn, type State } from "./world.ts";

interface User {
  readonly userId: string | null;
  readonly token: string | null;
}

/** One of several scenarios failed. */
export class ScenarioFailure extends Error {
  /** The index of the scenario. */
  readonly index: number;

  constructor(index: number, cause: unknown) {
    super(`Scenario ${index} failed.`, { cause });
    this.index = index;
  }
}

/**
 * Runs a scenario against a separate server.
 *
 * @param replicas the number of server replicas on one Postgres: the clients are spread over them
 * and return to the other one, and the replicas receive writes in turn
 * @throws Error when a client shows or receives something that it should not
 */
export async function runScenario(scenario: Scenario, replicas = 1): Promise<void> {
  await withServers([scenario], replicas, (on) => new Run(scenario, 0, on).run());
}

/**
 * Runs scenarios one after the other against one server, because starting a server costs more than
 * most scenarios. Each scenario has its own entities.
 *
 * @throws ScenarioFailure for the first scenario that fails
 */
export async function runScenarios(
  scenarios: readonly Scenario[],
  replicas: number,
): Promise<void> {
  await withServers(scenarios, replicas, async (on) => {
    for (const [index, scenario] of scenarios.entries())
      await new Run(scenario, index, on).run().catch((error: unknown) => {
        throw new ScenarioFailure(index, error);
      });
  });
}

async function withServers(
  scenarios: readonly Scenario[],
  replicas: number,
  run: (on: Servers) => Promise<void>,
): Promise<void> {
  const env: Record<string, string> = {};
  if (replicas > 1) env["DATABASE_URL"] = await createDatabase(sharedPostgresUrl());
  const servers: TestServer[] = [];
  try {
    for (let index = 0; index < replicas; index += 1)
      servers.push(await startServer(appFor(scenarios), env));
    const urls = servers.map(({ url }) => url);
    const users: User[] = [];
    for (let index = 0; index < USERS - 1; index += 1)
      users.push(await TestClient.guest(urls[index % replicas] ?? ""));
    await run({ urls, users: [...users, { userId: null, token: null }] });
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
  }
}

/** The replicas of a server, and the users who signed in there. */
interface Servers {
  readonly urls: readonly string[];
  readonly users: readonly User[];
}

class Run {
  readonly #scenario: Scenario;
  /** The name of an entity on the server. */
  readonly #nameOf: (entity: string) => string;
  readonly #urls: readonly string[];
  readonly #admins: readonly TestClient[];
  /** The number of times that a replica was chosen. */
  #choices = 0;
  readonly #users: readonly User[];
  readonly #clients: LiveClient[] = [];
  readonly #complaints: string[] = [];
  /**
   * The states of the database since the clients were last up to date. The last one is the current
   * one.
   */
  #states: State[] = [EMPTY];

  /** @param world the index of the scenario among those of the server */
  constructor(scenario: Scenario, world: number, { urls, users }: Servers) {
    this.#users = users;
    this.#scenario = scenario;
    this.#nameOf = (entity) => nameIn(world, entity);
    this.#urls = urls;
    this.#admins = urls.map((url) => new TestClient(url, ADMIN_TOKEN));
  }

  /** Chooses the replicas in turn. */
  #next<T>(replicas: readonly T[]): T {
    this.#choices += 1;
    const chosen = replicas[this.#choices % replicas.length];
    if (chosen === undefined) throw new Error("There is no server.");
    return chosen;
  }

  async run(): Promise<void> {
    try {
      await this.#run();
    } finally {
      for (const client of this.#clients) client.disconnect();
    }
  }

  async #run(): Promise<void> {
    for (let index = 0; index < CLIENTS; index += 1) {
      const client = new LiveClient(this.#nameOf, {
        row: (view, row) => this.#sawRow(client, view, row),
        commit: () => this.#sawCommit(client),
        complaint: (text) => this.#complaints.push(`client ${index}: ${text}`),
      });
      this.#clients.push(client);
      await client.connect(this.#next(this.#urls), this.#user(index));
    }
    for (const [index, query] of this.#scenario.queries.entries())
      this.#clients[index % CLIENTS]?.subscribe(query);
    await this.#check("at the start");
    for (const [index, step] of this.#scenario.steps.entries()) {
      await this.#do(step);
      await this.#check(`step ${index} ${JSON.stringify(step)}`);
    }
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
      await this.#commitBeside(step.transactions, () => client.subscribe(step.query));
    }
  }

  /** Commits one transaction after another. The client sends its requests during the first one. */
  async #commitBeside(
    [first = [], ...others]: readonly (readonly Write[])[],
    ask: () => void,
  ): Promise<void> {
    const writing = this.#commit(first);
    ask();
    await writing;
    for (const transaction of others) await this.#commit(transaction);
  }

  async #leaveAndReturn(
    client: LiveClient,
    { user, cursor, transactions, meanwhile = [] }: Extract<Step, { readonly kind: "away" }>,
  ): Promise<void> {
    client.disconnect();
    for (const transaction of transactions) await this.#commit(transaction);
    const known = this.#users.find(({ userId }) => userId === client.userId);
    const back = (user === null ? known : undefined) ?? this.#user(user ?? 0);
    await client.connect(this.#next(this.#urls), back);
    await this.#commitBeside(meanwhile, () => {
      for (const view of client.views.values()) client.resume(view, knownOf(view, cursor));
    });
  }

  /** Writes to the database and to the expected state. */
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
        operations.push({ op: "delete", entity: this.#nameOf(entity), id });
        continue;
      }
      const { c = null, to = null, via = null } = values;
      const owner = this.#users[values.owner]?.userId ?? "nobody";
      const data = { ...values, ...derivedFrom(values), c, to, via, owner };
      rows?.set(id, { id, ...data });
      operations.push(
        isThere
          ? { op: "update", entity: this.#nameOf(entity), id, data }
          : { op: "insert", entity: this.#nameOf(entity), data: { id, ...data } },
      );
    }
    if (operations.length === 0) return;
    this.#states.push(tables);
    const answer = await this.#next(this.#admins).request("POST", "/api/transact", operations);
    if (answer.body["committed"] !== true) throw new Error(answer.text);
  }

  async #check(about: string): Promise<void> {
    const pull = await this.#next(this.#admins).request("GET", "/api/sync/pull?since=0&limit=0");
    const { last_seq: head } = pull.body["cursor"] as { readonly last_seq: number };
    for (const client of this.#clients) await client.reach(head);
    expect([about, this.#complaints]).toEqual([about, []]);
    const state = this.#states.at(-1) ?? EMPTY;
    for (const [index, client] of this.#clients.entries()) {
      for (const view of client.views.values())
        expect([about, index, view.query, shownBy(view)]).toEqual([
          about,
          index,
          view.query,
          this.#expected(state, client, view.query),
        ]);
    }
    this.#states = [state];
  }

  /** The expected rows of a query and of everything that it includes. */
  #expected(state: State, { userId }: LiveClient, query: Query): Record<string, Row[]> {
    const parts = expectedParts(this.#scenario, state, userId, query);
    return Object.fromEntries([...parts].map(([path, rows]) => [path, sorted(rows)]));
  }

  /**
   * Every received version of a row must have existed, and have been readable for the client then.
   */
  #sawRow({ userId }: LiveClient, { entity }: LivePart, row: Row): void {
    const whole: Query = { entity, where: {}, order: undefined, limit: undefined };
    const isFair = this.#states.some((state) =>
      Bun.deepEquals(expectedRows(this.#scenario, state, userId, whole).get(row.id), row),
    );
    if (!isFair) this.#complaints.push(`a row that it may not read: ${JSON.stringify(row)}`);
  }

  /** Everything that a client shows after a commit must have existed at one time. */
  #sawCommit(client: LiveClient): void {
    const ready = [...client.views.values()].filter(({ isReady }) => isReady);
    const isWhole = this.#states.some((state) =>
      ready.every((view) =>
        Bun.deepEquals(shownBy(view), this.#expected(state, client, view.query)),
      ),
    );
    if (!isWhole) this.#complaints.push("a part of a transaction is shown without the other parts");
  }
}

function shownBy(view: LiveView): Record<string, Row[]> {
  return Object.fromEntries([view, ...view.related].map(({ path, rows }) => [path, sorted(rows)]));
}

function sorted(rows: ReadonlyMap<string, Row>): Row[] {
  return [...rows.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** The state that a client claims to have. */
function knownOf({ ready, rows, related }: LiveView, cursor: Cursor): object | undefined {
  if (ready === null || cursor === "none") return undefined;
  const known = { seq: ready.seq, epoch: ready.epoch, ids: [...rows.keys()], ...idsOf(related) };
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

/** The ids of related rows, nested like the relations. */
interface RelatedIds {
  ids?: string[];
  include?: Record<string, RelatedIds>;
}

function idsOf(parts: readonly LivePart[]): RelatedIds {
  const root: RelatedIds = {};
  for (const { path, rows } of parts) {
    let owner = root;
    for (const name of path.split("/").slice(1)) {
      owner.include ??= {};
      owner = owner.include[name] ??= { ids: [...rows.keys()] };
    }
  }
  return root;
}

/** Values of other types, which differ exactly if the values that they are derived from differ. */
function derivedFrom({ a, b, n }: RowValues): DerivedValues {
  // As texts these would sort in a different order.
  const cost = ["-9", "0.5", "5", "13.5"][n] ?? null;
  return { cost, tags: b === null ? [a] : [a, b], meta: { of: { a, n } } };
}

interface DerivedValues {
  readonly cost: string | null;
  readonly tags: readonly string[];
  readonly meta: { readonly of: { readonly a: string; readonly n: number } };
}
