import {
  aggregateHook,
  callHook,
  fieldsOf,
  functionHook,
  queryHook,
  roomHook,
  rowHook,
  searchHook,
  sessionHook,
  statusHook,
  valueOf,
  writesHook,
  type AggregateHook,
  type CallHook,
  type Framework,
  type FunctionHook,
  type GetterTypes,
  type QueryHook,
  type RoomHook,
  type RowHook,
  type SearchHook,
  type SessionHook,
  type StatusHook,
  type WritesHook,
} from "@pylonsync/sync/bindings";
import { useEngine } from "./engine.ts";
import { live } from "./live.ts";

const svelte: Framework = {
  engine: useEngine,
  read: valueOf,
  show: (key, make, actions) => {
    const { first, current } = live(key, make);
    return fieldsOf(first, current, actions);
  },
};

/**
 * The matching rows, live.
 *
 * @param options compared by value, so they may be written inline; a function is tracked
 * @example
 * const todos = useQuery("Todo", () => ({ where: { done: false } }));
 * const titles = () => todos.data.map(({ title }) => title);
 */
export const useQuery: QueryHook<GetterTypes> = /* @__PURE__ */ queryHook(svelte);

/**
 * One row, live; `data` is null if it does not exist.
 *
 * @example
 * const todo = useQueryOne("Todo", () => id);
 */
export const useQueryOne: RowHook<GetterTypes> = /* @__PURE__ */ rowHook(svelte);

/**
 * Optimistic writes to one entity.
 *
 * @example
 * const { insert, remove } = useEntityMutation("Todo");
 */
export const useEntityMutation: WritesHook = /* @__PURE__ */ writesHook(svelte);

/**
 * The live result of a query function: it is updated when rows that the function read change.
 *
 * @param args compared by value, so they may be written inline; a function is tracked
 * @example
 * const open = useFunction<number>("countOpen", () => ({ listId: id }));
 * const text = () => (open.loading ? "..." : `${open.data} to do`);
 */
export const useFunction: FunctionHook<GetterTypes> = /* @__PURE__ */ functionHook(svelte);

/**
 * Counts and sums, computed by the server, live.
 *
 * @param spec compared by value, so it may be written inline; a function is tracked
 * @example
 * const counts = useAggregate("Todo", { count: true, groupBy: ["done"] });
 * const open = () => counts.data?.find(({ done }) => !done)?.count ?? 0;
 */
export const useAggregate: AggregateHook<GetterTypes> = /* @__PURE__ */ aggregateHook(svelte);

/**
 * A search on the server, live.
 *
 * @param spec compared by value, so it may be written inline; a function is tracked
 * @example
 * const found = useSearch("Todo", () => ({ query: id }));
 * const titles = () => found.hits.map(({ title }) => title);
 */
export const useSearch: SearchHook<GetterTypes> = /* @__PURE__ */ searchHook(svelte);

/**
 * Calls a server function. With concurrent calls, the state is that of the last one.
 *
 * @example
 * const clear = useMutation("clearDone");
 * const onClick = () => void clear.mutate();
 */
export const useMutation: CallHook<GetterTypes> = /* @__PURE__ */ callHook(svelte);

/**
 * The current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @example
 * const session = useSession();
 * const name = () => (session.isLoaded ? session.userId : null);
 */
export const useSession: SessionHook<GetterTypes> = /* @__PURE__ */ sessionHook(svelte);

/**
 * The state of the engine: connection, readiness, pending writes.
 *
 * @example
 * const status = useStatus();
 * const unsaved = () => status.pending > 0;
 */
export const useStatus: StatusHook<GetterTypes> = /* @__PURE__ */ statusHook(svelte);

/**
 * Joins a room while the component is mounted.
 *
 * @param userId the signed-in user's id, who is excluded from `peers`
 * @example
 * const room = useRoom("document-1", userId);
 * const move = (cursor: number) => void room.setPresence({ cursor });
 */
export const useRoom: RoomHook<GetterTypes> = /* @__PURE__ */ roomHook(svelte);
