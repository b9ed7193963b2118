import {
  bearerProtocol,
  JOINED_ROWS,
  LIVE_PROTOCOL,
  type Joined,
  type LiveMessage,
  type ReadyMessage,
  type Row,
  type RowsMessage,
  type SubscriptionChange,
} from "@pylonsync/protocol";
import { RELATIONS, type Query } from "./scenario.ts";

/** The rows of a query, or of a relation that it includes. */
export interface LivePart {
  /** The path of relation names: empty for the query itself. */
  readonly path: string;
  readonly entity: string;
  sub: number | null;
  rows: Map<string, Row>;
  /** Rows that were received, and are shown with `ready`. */
  coming: Map<string, Row>;
}

/** The state of one subscription in the client. */
export interface LiveView extends LivePart {
  readonly id: number;
  readonly query: Query;
  isReady: boolean;
  /** The parts that it includes. */
  related: LivePart[];
  ready: Pick<ReadyMessage, "seq" | "epoch"> | null;
}

/** How long to wait for a response before the next ping, in milliseconds. */
const PATIENCE_MS = 250;
/** The time limit for everything to arrive, in milliseconds. */
const REACH_MS = 20_000;

/** Observes what a client receives, after it is applied. */
export interface Witness {
  /** A row as the client now has it. */
  row(part: LivePart, row: Row): void;
  /** A commit was applied. */
  commit(client: LiveClient): void;
  complaint(text: string): void;
}

/** A client of version 2, as simple as possible. */
export class LiveClient {
  readonly #nameOf: (entity: string) => string;
  readonly #witness: Witness;
  readonly views = new Map<number, LiveView>();
  #socket: WebSocket | null = null;
  #seq = 0;
  #nextId = 1;
  #onMessage: () => void = () => undefined;
  userId: string | null = null;

  /** @param nameOf the name of an entity on the server */
  constructor(nameOf: (entity: string) => string, witness: Witness) {
    this.#nameOf = nameOf;
    this.#witness = witness;
  }

  /** @param url the URL of the server, or of one of its replicas */
  async connect(
    url: string,
    user: { readonly userId: string | null; readonly token: string | null },
  ): Promise<void> {
    this.userId = user.userId;
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, [
      LIVE_PROTOCOL,
      ...(user.token === null ? [] : [bearerProtocol(user.token)]),
    ]);
    this.#socket = socket;
    let greet: () => void = () => undefined;
    const greeted = new Promise<void>((resolve) => (greet = resolve));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as LiveMessage | { readonly type: "hello" };
      if (message.type === "hello") greet();
      else if (this.#socket === socket) this.#take(message);
      this.#onMessage();
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) this.#witness.complaint(`closed: ${code} ${reason}`);
      this.#onMessage();
    };
    await greeted;
    if (socket.protocol !== LIVE_PROTOCOL) throw new Error("The server speaks version 1.");
  }

  disconnect(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const view of this.views.values()) {
      view.sub = null;
      for (const part of view.related) part.sub = null;
      view.isReady = false;
    }
  }

  /** @param known the state that the client claims to have */
  subscribe(query: Query, known?: object): void {
    this.#ask(
      {
        id: (this.#nextId += 1),
        query,
        path: "",
        entity: query.entity,
        related: [],
        sub: null,
        isReady: false,
        rows: new Map(),
        coming: new Map(),
        ready: null,
      },
      known,
    );
  }

  /** Subscribes again to a query of an earlier connection. */
  resume(view: LiveView, known: object | undefined): void {
    if (known === undefined) view.rows = new Map();
    if (known === undefined) view.related = [];
    this.#ask(view, known);
  }

  unsubscribe(id: number): void {
    this.views.delete(id);
    this.#send({ type: "unsubscribe", id });
  }

  /** Waits until everything up to a change has arrived. */
  async reach(seq: number): Promise<void> {
    const isThere = (): boolean =>
      this.#seq >= seq && [...this.views.values()].every(({ isReady }) => isReady);
    this.#seq = -1;
    const giveUpAt = performance.now() + REACH_MS;
    for (let asked = 0; !isThere(); asked += 1) {
      if (performance.now() > giveUpAt) throw new Error("The client did not get there in time.");
      const heard = new Promise<void>((resolve) => (this.#onMessage = resolve));
      this.#send({ type: "ping" });
      await Promise.race([heard, Bun.sleep(PATIENCE_MS)]);
      // A socket that sends without a pause is closed.
      if (asked > 0) await Bun.sleep(10);
    }
  }

  #ask(view: LiveView, known: object | undefined): void {
    this.views.set(view.id, view);
    const { entity, where, order, limit, include = {} } = view.query;
    view.coming = new Map();
    this.#send({
      type: "subscribe",
      id: view.id,
      entity: this.#nameOf(entity),
      where,
      ...(order === undefined ? {} : { order }),
      ...(limit === undefined ? {} : { limit }),
      ...(Object.keys(include).length === 0 ? {} : { include }),
      ...(known === undefined ? {} : { known }),
    });
  }

  /** The server could not read the rows of a view at the moment. */
  #askAgain(id: number): void {
    const view = this.views.get(id);
    if (view === undefined) return;
    view.isReady = false;
    view.sub = null;
    const socket = this.#socket;
    void Bun.sleep(100).then(() => {
      if (this.#socket === socket && this.views.get(id) === view) this.resume(view, undefined);
    });
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #viewsOf(sub: number): LiveView[] {
    return [...this.views.values()].filter((view) => view.sub === sub);
  }

  /** The parts with this subscription number, and the views that they belong to. */
  #partsOf(sub: number): (readonly [LiveView, LivePart])[] {
    return [...this.views.values()].flatMap((view) =>
      [view, ...view.related]
        .filter((part) => part.sub === sub)
        .map((part) => [view, part] as const),
    );
  }

  #take(message: LiveMessage): void {
    switch (message.type) {
      case "joined": {
        const view = this.views.get(message.id);
        if (view === undefined) return;
        view.sub = message.sub;
        view.related = relatedOf(message, view.query.entity).map((part) => {
          const { rows = new Map<string, Row>() } =
            view.related.find(({ path }) => path === part.path) ?? {};
          return { ...part, rows, coming: new Map(rows) };
        });
        view.coming = new Map(view.rows);
        return;
      }
      case "rows":
        for (const [, part] of this.#partsOf(message.sub)) this.#takeRows(part, message);
        return;
      case "ready":
        for (const view of this.#viewsOf(message.sub)) {
          for (const part of [view, ...view.related]) {
            part.rows = part.coming;
            part.coming = new Map(part.rows);
          }
          view.isReady = true;
          view.ready = message;
        }
        return;
      case "resync":
        for (const view of this.#viewsOf(message.sub)) view.isReady = false;
        return;
      case "commit":
        for (const change of message.changes)
          for (const [view, part] of this.#partsOf(change.sub))
            if (view.isReady) this.#takeChange(part, change);
        this.#reached(message.seq);
        this.#witness.commit(this);
        return;
      case "pong":
        this.#seq = message.seq;
        this.#reached(message.seq);
        return;
      case "error":
        if (message.retry_after_secs === undefined)
          this.#witness.complaint(`refused: ${message.code} ${message.message}`);
        else this.#askAgain(message.id);
        return;
      case "result":
        this.#witness.complaint("a result that nobody asked for");
    }
  }

  #reached(seq: number): void {
    for (const view of this.views.values())
      if (view.isReady && view.ready !== null) view.ready = { ...view.ready, seq };
  }

  #takeRows(view: LivePart, { reset, rows = [], keep = [], gone = [] }: RowsMessage): void {
    if (reset === true) view.coming = new Map();
    for (const row of rows) {
      view.coming.set(row.id, row);
      this.#witness.row(view, row);
    }
    for (const id of keep) {
      const row = view.rows.get(id);
      if (row === undefined) this.#witness.complaint(`keep ${id}, which is not known`);
      else view.coming.set(id, row);
    }
    for (const id of gone) view.coming.delete(id);
  }

  #takeChange(view: LivePart, { rows = [], patches = [], gone = [] }: SubscriptionChange): void {
    for (const row of rows) this.#put(view, row);
    for (const patch of patches) {
      const known = view.rows.get(patch.id);
      if (known === undefined) this.#witness.complaint(`patch of ${patch.id}, which is not known`);
      else this.#put(view, { ...known, ...patch });
    }
    for (const id of gone)
      if (!view.rows.delete(id)) this.#witness.complaint(`${id} is gone, and was not known`);
    view.coming = new Map(view.rows);
  }

  #put(view: LivePart, row: Row): void {
    view.rows.set(row.id, row);
    this.#witness.row(view, row);
  }
}

/** The parts that a query includes, with the server's subscription numbers. */
function relatedOf({ include = {} }: Joined, owner: string, path = ""): LivePart[] {
  return Object.entries(include).flatMap(([name, joined]) => {
    const relation = RELATIONS.find((one) => one.owner === owner && one.name === name);
    const here = `${path}/${name}`;
    const part = (at: string, entity: string, sub: number): LivePart => ({
      path: at,
      entity,
      sub,
      rows: new Map(),
      coming: new Map(),
    });
    const { target = "", through } = relation ?? {};
    const inner = joined.include?.[JOINED_ROWS];
    if (through === undefined || inner === undefined)
      return [part(here, target, joined.sub), ...relatedOf(joined, target, here)];
    const below = `${here}/${JOINED_ROWS}`;
    return [
      part(here, through, joined.sub),
      part(below, target, inner.sub),
      ...relatedOf(inner, target, below),
    ];
  });
}
