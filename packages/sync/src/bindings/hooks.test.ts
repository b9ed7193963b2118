import { expect, test } from "bun:test";
import { createWriteThroughStorage } from "../session/storage.ts";
import { createSyncEngine } from "../engine/engine.ts";
import type { GetterTypes } from "./hook-types.ts";
import {
  callHook,
  functionHook,
  queryHook,
  roomHook,
  rowHook,
  sessionHook,
  statusHook,
  writesHook,
  type Framework,
} from "./hooks.ts";
import { fieldsOf, valueOf, type Observable } from "./observable.ts";

// A framework without components: `show` reads the state again at each access.

function setup() {
  const engine = createSyncEngine("http://localhost:1", {
    persist: false,
    storage: createWriteThroughStorage({}, () => undefined),
  });
  const keys: string[] = [];
  const framework: Framework = {
    engine: () => engine,
    read: valueOf,
    show: (key, make, actions) => {
      let followed = key();
      keys.push(followed);
      let observable: Observable<object> = make();
      const current = (): object => {
        if (key() !== followed) observable = make();
        followed = key();
        return observable.getSnapshot();
      };
      return fieldsOf(current(), current, actions);
    },
  };
  return { engine, framework, keys };
}

test("a query follows its options, which are compared by value", () => {
  const { framework, keys } = setup();
  let limit = 1;
  const useQuery = queryHook<GetterTypes>(framework);
  const query = useQuery<object>("Todo", () => ({ limit }));
  useQuery<object>("Todo", { limit: 1 });
  expect(keys[0]).toBe(keys[1] ?? "");
  expect(query).toMatchObject({ data: [], loading: true, error: null });
  limit = -1;
  expect(query.error).toBeInstanceOf(Error);
  // Options are optional.
  expect(useQuery<object>("Todo").data).toEqual([]);
});

test("a row is found by the id that its getter returns", async () => {
  const { engine, framework } = setup();
  let id = "a";
  const row = rowHook<GetterTypes>(framework)<{ title: string }>("Todo", () => id);
  expect(row.data).toBeNull();
  void writesHook(framework)("Todo").insert({ id: "b", title: "tea" });
  id = "b";
  expect(row.data?.title).toBe("tea");
  expect(engine.mutations.all()).toHaveLength(1);
});

test("a call has its actions beside its state", async () => {
  const { framework } = setup();
  const call = callHook<GetterTypes>(framework)<object>("nothing");
  expect(call).toMatchObject({ data: null, loading: false, error: null });
  const failed = call.mutate({}).catch((cause: unknown) => cause);
  expect(call.loading).toBe(true);
  expect(await failed).toBe(call.error);
  call.reset();
  expect(call.error).toBeNull();
  expect(Object.keys(call).toSorted()).toEqual(["data", "error", "loading", "mutate", "reset"]);
});

test("a function whose arguments can't be sent reports that in its error", () => {
  const { framework } = setup();
  const state = functionHook<GetterTypes>(framework)<number>("count", { at: 1n });
  expect(state.error).toBeInstanceOf(Error);
  expect(state.loading).toBe(false);
});

test("session, status and room have the fields of their states", async () => {
  const { framework } = setup();
  expect(sessionHook<GetterTypes>(framework)().isLoaded).toBe(false);
  expect(statusHook<GetterTypes>(framework)().pending).toBe(0);
  const room = roomHook<GetterTypes>(framework)("lobby", () => "ann");
  expect(room).toMatchObject({ peers: [], isConnected: false, error: null });
  // Outside of a room there is nothing to send to.
  expect(await room.setPresence({})).toBeUndefined();
  expect(await room.broadcast("hello")).toBeUndefined();
});
