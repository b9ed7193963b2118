import {
  aggregateHook,
  callHook,
  functionHook,
  queryHook,
  roomHook,
  rowHook,
  searchHook,
  sessionHook,
  statusHook,
  writesHook,
  type AggregateHook,
  type CallActions,
  type CallHook,
  type CallState,
  type Framework,
  type FrameworkTypes,
  type FunctionHook,
  type QueryHook,
  type RoomActions,
  type RoomHook,
  type RowHook,
  type SearchHook,
  type SessionHook,
  type StatusHook,
  type WritesHook,
} from "@pylonsync/sync/bindings";
import type { RoomState } from "@pylonsync/sync";
import { toValue, type MaybeRefOrGetter } from "vue";
import { useEngine } from "./engine.ts";
import { live, refsOf, type Refs } from "./live.ts";

/** The types of arguments and states in Vue. */
export interface VueTypes extends FrameworkTypes {
  readonly argument: MaybeRefOrGetter<this["value"]>;
  readonly state: Refs<this["value"]>;
}

/** The result of `useMutation`. */
export type Mutation<A, R, X = Error> = Refs<CallState<R, X>> & CallActions<A, R>;
/** The other members of a room, and functions to send to them. */
export type RoomResult = Refs<RoomState> & RoomActions;

const vue: Framework = {
  engine: useEngine,
  read: toValue,
  show: (key, make, actions) => ({ ...refsOf(live(key, make)), ...actions }),
};

/**
 * The matching rows, live.
 *
 * @param options compared by value, so they may be written inline; a ref or a getter is tracked
 * @example
 * const { data: todos } = useQuery("Todo", () => ({ where: { done: false } }));
 */
export const useQuery: QueryHook<VueTypes> = /* @__PURE__ */ queryHook(vue);

/**
 * One row, live; `data` is null if it does not exist.
 *
 * @example
 * const { data: todo } = useQueryOne("Todo", () => id);
 */
export const useQueryOne: RowHook<VueTypes> = /* @__PURE__ */ rowHook(vue);

/**
 * Optimistic writes to one entity.
 *
 * @example
 * const { insert, remove } = useEntityMutation("Todo");
 */
export const useEntityMutation: WritesHook = /* @__PURE__ */ writesHook(vue);

/**
 * The live result of a query function: it is updated when rows that the function read change.
 *
 * @param args compared by value, so they may be written inline; a ref or a getter is tracked
 * @example
 * const { data, loading } = useFunction<number>("countOpen", () => ({ listId: id }));
 */
export const useFunction: FunctionHook<VueTypes> = /* @__PURE__ */ functionHook(vue);

/**
 * Counts and sums, computed by the server, live.
 *
 * @param spec compared by value, so it may be written inline; a ref or a getter is tracked
 * @example
 * const { data: counts } = useAggregate("Todo", { count: true, groupBy: ["done"] });
 */
export const useAggregate: AggregateHook<VueTypes> = /* @__PURE__ */ aggregateHook(vue);

/**
 * A search on the server, live.
 *
 * @param spec compared by value, so it may be written inline; a ref or a getter is tracked
 * @example
 * const { hits, total } = useSearch("Todo", () => ({ query: id }));
 */
export const useSearch: SearchHook<VueTypes> = /* @__PURE__ */ searchHook(vue);

/**
 * Calls a server function. With concurrent calls, the state is that of the last one.
 *
 * @example
 * const { mutate, loading } = useMutation("clearDone");
 */
export const useMutation: CallHook<VueTypes> = /* @__PURE__ */ callHook(vue);

/**
 * The current session. It also follows sign-ins and sign-outs in other tabs.
 *
 * @example
 * const { isLoaded, userId } = useSession();
 */
export const useSession: SessionHook<VueTypes> = /* @__PURE__ */ sessionHook(vue);

/**
 * The state of the engine: connection, readiness, pending writes.
 *
 * @example
 * const { pending } = useStatus();
 */
export const useStatus: StatusHook<VueTypes> = /* @__PURE__ */ statusHook(vue);

/**
 * Joins a room while the component is mounted.
 *
 * @param userId the signed-in user's id, who is excluded from `peers`
 * @example
 * const { peers, setPresence } = useRoom("document-1", userId);
 */
export const useRoom: RoomHook<VueTypes> = /* @__PURE__ */ roomHook(vue);
