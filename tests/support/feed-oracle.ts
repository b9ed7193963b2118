import type { ChangeEvent, Row } from "@pylonsync/protocol";
import { parsePolicy, type AuthValues } from "@pylonsync/query";
import { holds } from "../../packages/server/src/store/sql/naive-evaluator.ts";
import type { StoredRow } from "../../packages/server/src/store/store.ts";
import { until, type LiveSocket, type TestClient } from "./client.ts";

/** All rows, by entity and id: the expected contents of the database. */
export type Tables = Map<string, Map<string, StoredRow>>;

/** The rows of an entity that a caller may read, found by scanning all of them. */
export function readableRows(
  tables: Tables,
  entity: string,
  rule: string,
  userId: string | null,
): Record<string, StoredRow> {
  const auth: AuthValues = {
    userId,
    isAdmin: false,
    isGuest: userId !== null,
    tenantId: null,
    roles: [],
    apiKeyId: null,
    apiKeyScopes: [],
    isTrustedDevice: false,
    claims: {},
  };
  const rows = new Map([...tables].map(([name, table]) => [name, [...table.values()]]));
  const expr = parsePolicy(rule);
  const readable = (rows.get(entity) ?? []).filter((data) => holds(expr, { auth, data }, rows));
  return Object.fromEntries(readable.map((row) => [row.id, row]));
}

/**
 * A replica as a client keeps it, over a socket, which records messages that a client must not
 * receive.
 */
export class Replica {
  readonly #client: TestClient;
  readonly #tables = new Map<string, Map<string, Row>>();
  #socket: LiveSocket | null = null;
  #seq = 0;
  #taken = 0;
  /** How often it was told to take a new snapshot. */
  resyncs = 0;
  /** Messages that are impossible for a client that knows everything up to the cursor. */
  readonly complaints: string[] = [];

  constructor(client: TestClient) {
    this.#client = client;
  }

  rows(entity: string): Record<string, Row> {
    return Object.fromEntries(this.#tables.get(entity) ?? []);
  }

  /** Takes a snapshot and listens from there on. */
  async begin(): Promise<void> {
    this.#tables.clear();
    const { body } = await this.#client.request("GET", "/api/sync/pull?since=0");
    for (const event of body["changes"] as ChangeEvent[]) this.#apply(event);
    this.#seq = (body["cursor"] as { last_seq: number }).last_seq;
    await this.connect();
  }

  /** Continues from the cursor; takes a snapshot if it is told to. */
  async connect(): Promise<void> {
    const socket = this.#client.live(this.#seq);
    this.#socket = socket;
    this.#taken = 0;
    await until(() => socket.closed !== null || socket.texts.some((text) => isHello(text)));
    await this.#takeAll();
  }

  disconnect(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  get isConnected(): boolean {
    return this.#socket !== null;
  }

  /** Waits until the row has arrived, with a new snapshot if necessary. */
  async reach(entity: string, id: string): Promise<void> {
    for (;;) {
      const socket = this.#socket;
      if (socket === null) throw new Error("The replica is not connected.");
      await until(() => {
        this.#takeTexts(socket);
        return socket.closed !== null || this.#tables.get(entity)?.has(id) === true;
      });
      if (this.#tables.get(entity)?.has(id) === true && socket.closed === null) return;
      await this.#takeAll();
    }
  }

  async #takeAll(): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return;
    this.#takeTexts(socket);
    if (socket.closed === null) return;
    if (!socket.texts.some((text) => text.includes('"resync"')))
      throw new Error(`The socket was closed: ${socket.closed.reason}`);
    this.resyncs += 1;
    await this.begin();
  }

  #takeTexts(socket: LiveSocket): void {
    while (this.#taken < socket.texts.length) {
      const message = JSON.parse(socket.texts[this.#taken] ?? "") as ChangeEvent;
      this.#taken += 1;
      if (message.kind === undefined) continue;
      if (message.seq < this.#seq) this.complaints.push(`${message.seq} after ${this.#seq}`);
      this.#seq = message.seq;
      this.#apply(message);
    }
  }

  #apply({ entity, row_id: id, kind, data }: ChangeEvent): void {
    const table = this.#tables.get(entity) ?? new Map<string, Row>();
    this.#tables.set(entity, table);
    const known = table.get(id);
    if (kind === "insert") table.set(id, { ...data, id });
    else if (known === undefined)
      this.complaints.push(`${kind} of ${entity}/${id}, not known here`);
    else if (kind === "update") table.set(id, { ...known, ...data, id });
    else table.delete(id);
  }
}

function isHello(text: string): boolean {
  return text.startsWith('{"type":"hello"');
}
