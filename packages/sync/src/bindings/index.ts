/**
 * Building blocks for framework bindings: every part of an engine that a page shows, as an
 * observable value.
 *
 * @module
 */
export {
  FunctionCalls,
  observeFunction,
  type CallState,
  type FunctionState,
} from "./function-call.ts";
export type {
  ArgumentIn,
  CallActions,
  CallHook,
  FrameworkTypes,
  FunctionHook,
  GetterTypes,
  MaybeGetter,
  Mutation,
  QueryHook,
  RoomActions,
  RoomHook,
  RoomResult,
  RowHook,
  SessionHook,
  StateIn,
  StatusHook,
  WritesHook,
} from "./hook-types.ts";
export {
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
  type Framework,
} from "./hooks.ts";
export type {
  AggregateHook,
  AggregateRow,
  AggregateSpec,
  AggregateState,
  EntityAggregateSpec,
  EntitySearchSpec,
  ReadActions,
  SearchHighlight,
  SearchHook,
  SearchSpec,
  SearchState,
} from "./read-specs.ts";
export { observeAggregate, observeSearch, SEARCHING, type ServerRead } from "./server-read.ts";
export { fieldsOf, keyOf, valueOf, type Observable } from "./observable.ts";
export { callShowing, type OptimisticStore, type OptimisticUpdate } from "./optimistic-call.ts";
export { RoomStay, type RoomStayOptions } from "./room-stay.ts";
export { writesOf, type EntityWrites } from "./writes.ts";
export { observeQuery, observeRow, type QueryState, type RowState } from "./rows.ts";
export {
  followTabs,
  observeSession,
  observeStatus,
  sessionStateOf,
  type SessionState,
} from "./session-state.ts";
export { ReplicaSchema } from "../replica/replica-schema.ts";
