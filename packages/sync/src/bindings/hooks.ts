import type { SyncEngine } from "../engine/engine.ts";
import { FunctionCalls, observeFunction } from "./function-call.ts";
import type {
  CallHook,
  FrameworkTypes,
  FunctionHook,
  QueryHook,
  RoomHook,
  RowHook,
  SessionHook,
  StatusHook,
  WritesHook,
} from "./hook-types.ts";
import { keyOf, type Observable } from "./observable.ts";
import type { AggregateHook, SearchHook } from "./read-specs.ts";
import { RoomStay, type RoomStayOptions } from "./room-stay.ts";
import { observeQuery, observeRow } from "./rows.ts";
import { observeAggregate, observeSearch, type ServerRead } from "./server-read.ts";
import { observeSession, observeStatus } from "./session-state.ts";
import { writesOf } from "./writes.ts";

/** What a framework contributes to the hooks of its binding. */
export interface Framework {
  /** Returns the engine of the current component. */
  readonly engine: () => SyncEngine;
  /** Returns the current value of an argument, and tracks it. */
  readonly read: (argument: unknown) => unknown;
  /**
   * Subscribes the current component to an observable until it is disposed.
   *
   * @param key identifies the observable: when it changes, another one is made
   * @param actions functions that are returned beside the fields of the state
   */
  readonly show: (key: () => string, make: () => Observable<object>, actions?: object) => object;
}

/**
 * Creates `useQuery`. Options are compared by value, so they may be written inline.
 *
 * @example
 * import { queryHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseQuery = (framework: Framework) => queryHook<GetterTypes>(framework);
 */
export function queryHook<W extends FrameworkTypes>(framework: Framework): QueryHook<W> {
  return withTypes((entity: string, options: unknown) => {
    const sync = framework.engine();
    const read = (): object => fieldsIn(framework, options);
    return framework.show(
      () => keyOf(read()),
      () => observeQuery(sync, entity, read()),
    );
  });
}

/**
 * Creates `useQueryOne`.
 *
 * @example
 * import { rowHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseQueryOne = (framework: Framework) => rowHook<GetterTypes>(framework);
 */
export function rowHook<W extends FrameworkTypes>(framework: Framework): RowHook<W> {
  return withTypes((entity: string, id: unknown) => {
    const sync = framework.engine();
    const read = (): string => String(framework.read(id));
    return framework.show(read, () => observeRow(sync, entity, read()));
  });
}

/**
 * Creates `useFunction`. Arguments are compared by value, so they may be written inline.
 *
 * @example
 * import { functionHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseFunction = (framework: Framework) => functionHook<GetterTypes>(framework);
 */
export function functionHook<W extends FrameworkTypes>(framework: Framework): FunctionHook<W> {
  return withTypes((name: string, args: unknown) => {
    const sync = framework.engine();
    const read = (): object => fieldsIn(framework, args);
    return framework.show(
      () => keyOf(read()),
      () => observeFunction(sync, name, { ...read() }),
    );
  });
}

/**
 * Creates `useAggregate`. The spec is compared by value, so it may be written inline.
 *
 * @example
 * import { aggregateHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseAggregate = (framework: Framework) => aggregateHook<GetterTypes>(framework);
 */
export function aggregateHook<W extends FrameworkTypes>(framework: Framework): AggregateHook<W> {
  return withTypes(readHook(framework, observeAggregate));
}

/**
 * Creates `useSearch`. The spec is compared by value, so it may be written inline.
 *
 * @example
 * import { searchHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseSearch = (framework: Framework) => searchHook<GetterTypes>(framework);
 */
export function searchHook<W extends FrameworkTypes>(framework: Framework): SearchHook<W> {
  return withTypes(readHook(framework, observeSearch));
}

/**
 * Creates a hook for reads of the server. Its `refresh` applies to the read that is shown at that
 * time.
 */
function readHook<S extends object>(
  framework: Framework,
  observeRead: (sync: SyncEngine, entity: string, spec: object) => ServerRead<S>,
): (entity: string, spec: unknown) => object {
  return (entity, spec) => {
    const sync = framework.engine();
    const read = (): object => fieldsIn(framework, spec);
    let shown = observeRead(sync, entity, read());
    const make = (): ServerRead<S> => (shown = observeRead(sync, entity, read()));
    return framework.show(() => keyOf(read()), make, { refresh: () => shown.refresh() });
  };
}

/**
 * Creates `useMutation`.
 *
 * @example
 * import { callHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseMutation = (framework: Framework) => callHook<GetterTypes>(framework);
 */
export function callHook<W extends FrameworkTypes>(framework: Framework): CallHook<W> {
  return withTypes((name: string) => {
    const calls = new FunctionCalls(framework.engine(), name);
    const { mutate, reset } = calls;
    return framework.show(
      () => name,
      () => calls,
      { mutate, reset },
    );
  });
}

/**
 * Creates `useEntityMutation`.
 *
 * @example
 * import { writesHook, type Framework } from "@pylonsync/sync/bindings";
 *
 * const makeUseEntityMutation = (framework: Framework) => writesHook(framework);
 */
export function writesHook(framework: Framework): WritesHook {
  return withTypes((entity: string) => writesOf(framework.engine(), entity));
}

/**
 * Creates `useSession`.
 *
 * @example
 * import { sessionHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseSession = (framework: Framework) => sessionHook<GetterTypes>(framework);
 */
export function sessionHook<W extends FrameworkTypes>(framework: Framework): SessionHook<W> {
  return withTypes(() => {
    const sync = framework.engine();
    return framework.show(
      () => "session",
      () => observeSession(sync),
    );
  });
}

/**
 * Creates `useStatus`.
 *
 * @example
 * import { statusHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseStatus = (framework: Framework) => statusHook<GetterTypes>(framework);
 */
export function statusHook<W extends FrameworkTypes>(framework: Framework): StatusHook<W> {
  return withTypes(() => {
    const sync = framework.engine();
    return framework.show(
      () => "status",
      () => observeStatus(sync),
    );
  });
}

/**
 * Creates `useRoom`. The functions that it returns apply to the room that is joined when they are
 * called.
 *
 * @example
 * import { roomHook, type Framework, type GetterTypes } from "@pylonsync/sync/bindings";
 *
 * const makeUseRoom = (framework: Framework) => roomHook<GetterTypes>(framework);
 */
export function roomHook<W extends FrameworkTypes>(framework: Framework): RoomHook<W> {
  return withTypes((room: unknown, userId: unknown, options: RoomStayOptions = {}) => {
    const sync = framework.engine();
    const read = (): [string, string] => [
      String(framework.read(room)),
      String(framework.read(userId)),
    ];
    let stay = new RoomStay(sync, ...read(), options);
    const make = (): RoomStay => (stay = new RoomStay(sync, ...read(), options));
    const setPresence: RoomStay["setPresence"] = (data) => stay.setPresence(data);
    const broadcast: RoomStay["broadcast"] = (topic, data) => stay.broadcast(topic, data);
    return framework.show(() => keyOf(read()), make, { setPresence, broadcast });
  });
}

/** Returns the current value of an optional argument with fields. */
function fieldsIn(framework: Framework, argument: unknown): object {
  const value = framework.read(argument);
  return typeof value === "object" && value !== null ? value : {};
}

/**
 * Gives an implementation the signatures of its hook. They depend on types that only the binding
 * knows, so the implementation can't state them; `tests/types` checks them for each binding.
 */
function withTypes<H>(implementation: (...args: never[]) => unknown): H;
function withTypes(implementation: unknown): unknown {
  return implementation;
}
