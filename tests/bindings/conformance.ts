import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { app } from "./app.ts";
import type { Binding, Input, Mounted, ProbeKind } from "./binding.ts";
import { openPage } from "./dom.ts";

type State = Readonly<Record<string, unknown>>;

/** A component, and all states that it has rendered. */
class Probe {
  readonly shown: State[] = [];
  readonly caller: TestClient;
  component: Mounted | null = null;

  constructor(caller: TestClient) {
    this.caller = caller;
  }

  get mounted(): Mounted {
    if (this.component === null) throw new Error("The component is not mounted.");
    return this.component;
  }
  get state(): State {
    return this.shown.at(-1) ?? {};
  }
  /** The titles of a list. */
  get titles(): string {
    const { data } = this.state;
    return Array.isArray(data) ? data.map((row: State) => row["title"]).join(" ") : "no list";
  }
  get error(): unknown {
    return this.state["error"];
  }
}

/** The behaviour that every binding must have, tested against a real server. */
export function conformance(name: string, load: () => Promise<Binding>): void {
  const suite = new Suite();
  describe(`the binding of ${name}`, () => {
    beforeAll(() => suite.open(load));
    afterEach(() => suite.unmount());
    afterAll(() => suite.close());
    describe("lists", () => lists(suite));
    describe("changes, errors and single rows", () => changes(suite));
    describe("aggregates and searches", () => reads(suite));
    describe("functions", () => functions(suite));
    describe("session, status and rooms", () => others(suite));
  });
}

class Suite {
  readonly #probes: Probe[] = [];
  #server: TestServer | null = null;
  #binding: Binding | null = null;
  #closePage: () => Promise<void> = async () => undefined;
  #lastList = 0;

  async open(load: () => Promise<Binding>): Promise<void> {
    this.#server = await startServer(app);
    this.#closePage = openPage();
    this.#binding = await load();
  }
  unmount(): void {
    for (const { component } of this.#probes.splice(0)) component?.unmount();
  }
  async close(): Promise<void> {
    await this.#server?.stop();
    await this.#closePage();
  }
  get url(): string {
    return this.#server?.url ?? "";
  }
  guest(): Promise<TestClient> {
    return TestClient.guest(this.url);
  }
  /** A due date that no other test uses, so that each test has its own rows. */
  ownDue(): string {
    this.#lastList += 1;
    return new Date(Date.UTC(2030, 0, this.#lastList)).toISOString();
  }

  async mount(
    kind: ProbeKind,
    given: Input | ((userId: string) => Input),
    sync: "all" | "queries" = "queries",
  ): Promise<Probe> {
    const caller = await this.guest();
    const input = typeof given === "function" ? given(caller.userId) : given;
    const probe = new Probe(caller);
    this.#probes.push(probe);
    const config = {
      baseUrl: this.url,
      persist: false,
      reconnectDelay: 20,
      sync,
      appName: `probe-${caller.userId}`,
      ...(caller.token === null ? {} : { token: caller.token }),
    };
    const onShow = (json: string): void => void probe.shown.push(JSON.parse(json) as State);
    probe.component = (await this.#binding?.mount(kind, config, input, onShow)) ?? null;
    return probe;
  }
}

/** Counts the lists of an engine that have listeners, starting with the call. */
function countLists({ engine }: Mounted): () => number {
  const listeners = new Map<object, number>();
  const query = engine.query.bind(engine);
  engine.query = (entity, options) => {
    const list = query(entity, options);
    return {
      isReady: () => list.isReady(),
      getSnapshot: () => list.getSnapshot(),
      subscribe: (listener) => {
        const stop = list.subscribe(listener);
        listeners.set(list, (listeners.get(list) ?? 0) + 1);
        return () => {
          listeners.set(list, (listeners.get(list) ?? 0) - 1);
          stop();
        };
      },
    };
  };
  return () => [...listeners.values()].filter((count) => count > 0).length;
}

function lists(suite: Suite): void {
  test.each(["all", "queries"] as const)("a list is live, with a replica of %s", async (sync) => {
    const due = suite.ownDue();
    const client = await suite.guest();
    await client.insert("Todo", { title: "tea", done: false, due });
    const options = { where: { due, done: false }, orderBy: { title: "asc" } };
    const probe = await suite.mount("query", { name: "Todo", options }, sync);
    expect(probe.shown[0]).toMatchObject({ data: [], loading: true, isComplete: false });
    await until(() => probe.titles === "tea" && probe.state["isComplete"] === true);
    expect(probe.state).toMatchObject({ loading: false, error: null });
    await client.insert("Todo", { title: "milk", done: false, due });
    await until(() => probe.titles === "milk tea");
    const written = probe.mounted.engine.insert("Todo", { title: "oats", done: false, due });
    await until(() => probe.titles === "milk oats tea");
    await written;
  });

  test("an empty list is complete, and not loading", async () => {
    const options = { where: { due: suite.ownDue() } };
    const probe = await suite.mount("query", { name: "Todo", options });
    await until(() => probe.state["isComplete"] === true);
    expect(probe.state).toMatchObject({ data: [], loading: false, error: null });
  });

  test("new options show other rows, and an unmount unsubscribes from all", async () => {
    const due = suite.ownDue();
    const client = await suite.guest();
    await client.insert("Todo", { title: "open", done: false, due });
    await client.insert("Todo", { title: "done", done: true, due });
    const options = { where: { due, done: false } };
    const probe = await suite.mount("query", { name: "Todo", options });
    await until(() => probe.titles === "open");
    const count = countLists(probe.mounted);
    for (const done of [true, false]) {
      probe.mounted.set({ name: "Todo", options: { where: { due, done } } });
      await until(() => probe.titles === (done ? "done" : "open"));
    }
    await until(() => count() === 1);
    const { length } = probe.shown;
    probe.mounted.unmount();
    await until(() => count() === 0);
    probe.component = null;
    await client.insert("Todo", { title: "late", done: false, due });
    expect(probe.shown.length).toBe(length);
  });
}

function changes(suite: Suite): void {
  test("a change that does not affect a list does not render it again", async () => {
    const due = suite.ownDue();
    const client = await suite.guest();
    await client.insert("Todo", { title: "tea", done: false, due });
    const probe = await suite.mount("query", { name: "Todo", options: { where: { due } } }, "all");
    await until(() => probe.titles === "tea" && probe.state["isComplete"] === true);
    const { length } = probe.shown;
    const id = await client.insert("Other", { title: "other" });
    await client.insert("Todo", { title: "elsewhere", done: false, due: suite.ownDue() });
    await until(() => probe.mounted.engine.store.get("Other", id) !== null);
    await client.insert("Todo", { title: "milk", done: false, due });
    await until(() => probe.titles.includes("milk"));
    expect(probe.shown.length).toBe(length + 1);
  });

  test("an invalid query is an error until the query changes", async () => {
    const due = suite.ownDue();
    const wrong = { where: { due, $no: 1 } };
    const probe = await suite.mount("query", { name: "Todo", options: wrong });
    await until(() => probe.error !== null && probe.error !== undefined);
    expect(probe.state).toMatchObject({ data: [], loading: false, isComplete: false });
    probe.mounted.set({ name: "Todo", options: { where: { due } } });
    await until(() => probe.error === null && probe.state["isComplete"] === true);
  });

  test("a single row is live, and null if it does not exist", async () => {
    const client = await suite.guest();
    const id = await client.insert("Todo", { title: "tea", done: false });
    const probe = await suite.mount("row", { name: "Todo", id });
    const title = (): unknown => (probe.state["data"] as State | null)?.["title"];
    expect(probe.shown[0]).toMatchObject({ data: null, loading: true });
    await until(() => title() === "tea");
    await client.request("PATCH", `/api/entities/Todo/${id}`, { title: "milk" });
    await until(() => title() === "milk");
    const other = await client.insert("Todo", { title: "oats", done: false });
    probe.mounted.set({ name: "Todo", id: other });
    await until(() => title() === "oats");
    await client.request("DELETE", `/api/entities/Todo/${other}`);
    await until(() => probe.state["data"] === null && probe.state["loading"] === false);
  });
}

function reads(suite: Suite): void {
  test.each(["all", "queries"] as const)("counts are live, with a replica of %s", async (sync) => {
    const due = suite.ownDue();
    const client = await suite.guest();
    const id = await client.insert("Todo", { title: "tea", done: false, due });
    const counted = (done: boolean): object => ({
      name: "Todo",
      options: { groupBy: ["done"], where: { due, done } },
    });
    const probe = await suite.mount("aggregate", counted(false), sync);
    expect(probe.shown[0]).toEqual({ data: null, loading: true, error: null });
    const shows = (...data: object[]): Promise<void> =>
      until(() => Bun.deepEquals(probe.state["data"], data));
    await shows({ done: false, count: 1 });
    await client.insert("Todo", { title: "milk", done: false, due });
    await shows({ done: false, count: 2 });
    await client.request("PATCH", `/api/entities/Todo/${id}`, { done: true });
    await shows({ done: false, count: 1 });
    probe.mounted.set(counted(true));
    await shows({ done: true, count: 1 });
    probe.mounted.actions.refresh?.();
    probe.mounted.set({ name: "Todo", options: { sum: ["nope"] } });
    await until(() => probe.error !== null);
    expect(probe.state).toMatchObject({ data: null, loading: false });
  });

  test("hits and the counts of facets are live", async () => {
    const client = await suite.guest();
    const word = `word${Date.parse(suite.ownDue())}`;
    const probe = await suite.mount("search", { name: "Todo", options: { query: word } });
    expect(probe.shown[0]).toMatchObject({ hits: [], total: 0, loading: true, error: null });
    await until(() => probe.state["loading"] === false);
    const id = await client.insert("Todo", { title: word, done: true });
    await until(() => probe.state["total"] === 1);
    expect(probe.state).toMatchObject({ hits: [{ id }], facetCounts: { done: { true: 1 } } });
    probe.mounted.set({ name: "Todo", options: { query: word, filters: { nope: 1 } } });
    await until(() => probe.error !== null);
    expect(probe.state).toMatchObject({ hits: [], loading: false });
  });
}

function functions(suite: Suite): void {
  test("a live function follows rows, arguments and errors", async () => {
    const client = await suite.guest();
    const mark = suite.ownDue();
    await client.insert("Todo", { title: `one ${mark}`, done: false });
    const like = mark;
    const probe = await suite.mount("function", { name: "titles", options: { like } });
    expect(probe.shown[0]).toEqual({ data: null, loading: true, error: null });
    const found = (): number =>
      Array.isArray(probe.state["data"]) ? probe.state["data"].length : -1;
    await until(() => found() === 1);
    await client.insert("Todo", { title: `two ${mark}`, done: false });
    await until(() => found() === 2);
    probe.mounted.set({ name: "titles", options: { like: "nothing" } });
    await until(() => found() === 0);
    probe.mounted.set({ name: "titles", options: { like: 5 } });
    await until(() => probe.error !== null);
    expect(probe.state["loading"]).toBe(false);
  });

  test("a call shows its loading state, result and error, and reset clears them", async () => {
    const probe = await suite.mount("calls", { name: "shout" });
    const idle = { data: null, loading: false, error: null };
    expect(probe.state).toMatchObject(idle);
    const { mutate, reset } = probe.mounted.actions;
    const called = mutate?.({ text: "tea" });
    expect(await called).toBe("TEA");
    await until(() => probe.state["data"] === "TEA");
    expect(probe.state).toMatchObject({ loading: false, error: null });
    expect(probe.shown.some(({ loading }) => loading === true)).toBe(true);
    await expect(mutate?.({ text: "" })).rejects.toMatchObject({ code: "SILENT" });
    await until(() => probe.error !== null);
    expect(probe.state).toMatchObject({ data: null, loading: false });
    reset?.();
    await until(() => probe.error === null);
    expect(probe.state).toMatchObject(idle);
  });
}

function others(suite: Suite): void {
  test("the session is the caller's, and follows a change of user", async () => {
    const probe = await suite.mount("session", {});
    expect(probe.shown[0]).toMatchObject({ isLoaded: false, isAuthenticated: false });
    const { userId } = probe.caller;
    await until(() => probe.state["userId"] === userId);
    expect(probe.state).toMatchObject({ isLoaded: true, isGuest: true, isAuthenticated: true });
    const other = await suite.guest();
    probe.mounted.engine.session.setToken(other.token);
    await until(() => probe.state["userId"] === other.userId);
  });

  test("the status reports the connection and the number of pending writes", async () => {
    const probe = await suite.mount("status", {});
    await until(() => probe.state["connection"] === "live" && probe.state["ready"] === true);
    const before = probe.shown.length;
    await probe.mounted.engine.insert("Other", { title: "status" });
    await until(() => probe.state["pending"] === 0 && probe.shown.length > before + 1);
    expect(probe.shown.some(({ pending }) => pending === 1)).toBe(true);
  });

  test("a room has its peers and broadcasts, and an unmount leaves it", async () => {
    const other = await suite.guest();
    const room = `room-${other.userId}`;
    await other.request("POST", "/api/rooms/join", { room, data: { at: 1 } });
    const heard: unknown[] = [];
    const onBroadcast = (message: unknown): void => void heard.push(message);
    const probe = await suite.mount("room", (userId) => ({ room, userId, onBroadcast }));
    // The room is joined over HTTP; broadcasts arrive only once the connection is live as well.
    const { engine } = probe.mounted;
    await until(() => probe.state["isConnected"] === true && engine.status.connection === "live");
    expect(probe.state["peers"]).toMatchObject([{ user_id: other.userId, data: { at: 1 } }]);
    const { setPresence, broadcast } = probe.mounted.actions;
    await setPresence?.({ at: 2 });
    await broadcast?.("wave", { to: "all" });
    await until(() => heard.length === 1);
    expect(heard).toMatchObject([{ topic: "wave", data: { to: "all" } }]);
    const members = async (): Promise<readonly State[]> => {
      const { body } = await other.request("GET", `/api/rooms/${room}`);
      return body["members"] as State[];
    };
    expect((await members()).find((one) => one["user_id"] === probe.caller.userId)).toMatchObject({
      data: { at: 2 },
    });
    probe.mounted.unmount();
    probe.component = null;
    await until(async () => (await members()).length === 1);
  });
}
