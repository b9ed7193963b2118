import type {
  CallArgs,
  CountedAmount,
  CountedField,
  EntityName,
  FunctionName,
  Included,
  IncludeOf,
  ListField,
  ListItem,
  RegisteredRows,
  RegisteredFunctions,
  RegisteredInserts,
  RegisteredPatches,
} from "@pylonsync/sdk";
import type { MutationError, QueryOptions, SyncEngine } from "@pylonsync/sync";
import { signOut } from "./auth/calls.ts";
import { streamFn } from "./calls.ts";
import { getEngine } from "./client.ts";
import { useFunction } from "./functions.ts";
import {
  useEntityMutation,
  useMutation,
  type EntityMutations,
  type FunctionCalls,
  type MutationState,
} from "./mutations.ts";
import { useJob, useWorkflow } from "./status.ts";
import {
  useQuery,
  useQueryOne,
  useStatus,
  type EntityQueryOptions,
  type IncludingOptions,
  type NameFor,
  type QueryResult,
  type RowResult,
} from "./queries.ts";
import { listHooks } from "./list-hooks.ts";
import { useEngine } from "./provider.tsx";
import { suspenseHooks } from "./suspense-hooks.ts";
import { useSession, type SessionState } from "./session.ts";
import type * as Uploads from "./uploads.ts";
import type * as Upserts from "./upserts.ts";
import type { UploadContent, UploadedFile, UploadOptions } from "./uploads.ts";

type Fields = Readonly<Record<string, unknown>>;
/** Conditions on the server's row for a write. */
interface Conditions<E extends EntityName> {
  readonly ifUnchanged?: Partial<RegisteredRows[E]>;
}

/**
 * The app's database, for use inside and outside components.
 *
 * @example
 * function TodoList() {
 *   const { data: todos } = db.useQuery("Todo", { where: { done: false } });
 *   const add = () => db.insert("Todo", { title: "milk" });
 *   return <button onClick={() => void add()}>{todos.length} to do</button>;
 * }
 */
export const db = {
  /** The underlying engine. */
  get sync(): SyncEngine {
    return getEngine();
  },
  /** The matching rows, live. The options are compared by value. */
  useQuery: useAppQuery,
  /** One row, live; `data` is null if it does not exist. */
  useQueryOne: useAppQueryOne,
  ...listHooks,
  ...suspenseHooks,
  /** The result of a query function, live. */
  useFunction,
  /** The status and progress of a job, live. */
  useJob,
  /** The state of a workflow run, live. */
  useWorkflow,
  /** Calls a server function from a component, and tracks the call's state. */
  useMutation: useAppMutation,
  /** Optimistic `insert`, `update` and `remove` for one entity. */
  useEntity: <E extends EntityName>(entity: E): EntityMutations<E> =>
    useEntityMutation(useEngine(), entity),
  /** The state of the engine: connection, readiness, pending writes. */
  useStatus: (): SyncEngine["status"] => useStatus(useEngine()),
  /** The current session. Before `isLoaded`, show nothing that depends on it. */
  useSession: (): SessionState => useSession(useEngine()),
  /**
   * Inserts a row into the replica immediately, and into the server when it is reachable.
   *
   * @returns the row's permanent id
   */
  insert: <E extends EntityName>(entity: E, data: RegisteredInserts[E]): Promise<string> =>
    getEngine().insert(entity, data),
  /**
   * Updates fields of a row, optimistically like `insert`. With `ifUnchanged`, the server applies
   * it only if the row's fields still have these values: `{ ifUnchanged: { updatedAt:
   * todo.updatedAt } }`.
   */
  update: <E extends EntityName>(
    entity: E,
    id: string,
    patch: RegisteredPatches[E],
    options?: Conditions<E>,
  ): Promise<void> => getEngine().update(entity, id, patch, options),
  /**
   * Updates the row with the same value of a unique field, or inserts a new row, optimistically
   * like `insert`: `db.upsert("Visit", "path", { path, n: 1 }, { n: { $increment: 1 } })`.
   */
  upsert: async <E extends EntityName>(
    entity: E,
    by: keyof RegisteredRows[E] | readonly (keyof RegisteredRows[E])[],
    data: RegisteredInserts[E],
    update?: RegisteredPatches[E],
  ): Promise<void> => {
    const { upsertRow } = await upserts();
    const names = (Array.isArray(by) ? by : [by]).map(String);
    return upsertRow(getEngine(), entity, names, data, update);
  },
  /**
   * Atomically adds to a number, so that concurrent changes of other clients are kept. For a
   * decimal, pass the amount as a string, such as `"-12.50"`.
   */
  increment: <E extends EntityName, F extends CountedField<E>>(
    entity: E,
    id: string,
    field: F,
    amount?: CountedAmount<E, F>,
  ): Promise<void> => getEngine().increment(entity, id, field, amount),
  /** Atomically appends items to an array. */
  append: <E extends EntityName, F extends ListField<E>>(
    entity: E,
    id: string,
    field: F,
    items: readonly ListItem<E, F>[],
  ): Promise<void> => getEngine().append(entity, id, field, items),
  /** Deletes a row, optimistically like `insert`; `ifUnchanged` works as for `update`. */
  delete: <E extends EntityName>(entity: E, id: string, options?: Conditions<E>): Promise<void> =>
    getEngine().delete(entity, id, options),
  /** Calls a server function. @throws PylonClientError */
  fn: callAppFunction,
  /** Calls a function and yields the text chunks that it streams. */
  streamFn,
  /** Uploads a file as the request body. */
  uploadFile: async (content: UploadContent, options?: UploadOptions): Promise<UploadedFile> =>
    (await uploads()).uploadFile(content, options),
  /** Uploads a file as the field `file` of a form. */
  uploadFileMultipart: async (
    content: UploadContent,
    options?: UploadOptions,
  ): Promise<UploadedFile> => (await uploads()).uploadFileMultipart(content, options),
  /**
   * Calls the listener for every write that the server rejected, after it was rolled back.
   *
   * @returns an unsubscribe function
   */
  onError: (listener: (error: MutationError) => void): (() => void) =>
    getEngine().onError(listener),
  /**
   * Sends presence to the members of this user's rooms, or to all users in the tenant with the
   * app's `peerMessages: "tenant"`. Dropped while offline.
   */
  setPresence: (data: unknown): void => getEngine().setPresence(data),
  /** Publishes to the same users; dropped while offline. */
  publishTopic: (topic: string, data: unknown): void => getEngine().publishTopic(topic, data),
  /**
   * Creates a guest user, who has their own rows, and signs in.
   *
   * @throws PylonClientError, such as UNREACHABLE
   */
  signInAsGuest: (): Promise<{ readonly token: string; readonly userId: string }> =>
    getEngine().signInAsGuest(),
  /**
   * Signs out: ends the session here and on the server, like the function `signOut`.
   *
   * @throws PylonClientError, such as UNREACHABLE
   */
  signOut: (): Promise<void> => signOut(),
};

/** Loaded on demand, because few pages upsert rows. */
function upserts(): Promise<typeof Upserts> {
  return import("./upserts.ts");
}

/** Loaded on demand, because few pages upload files. */
function uploads(): Promise<typeof Uploads> {
  return import("./uploads.ts");
}

function useAppQuery<T = never>(entity: NameFor<T>, options?: QueryOptions): QueryResult<T>;
function useAppQuery<E extends EntityName>(
  entity: E,
  options?: EntityQueryOptions<E>,
): QueryResult<RegisteredRows[E]>;
function useAppQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options?: IncludingOptions<E, I>,
): QueryResult<Included<E, I>>;
function useAppQuery(entity: string, options?: object): QueryResult<unknown> {
  return useQuery<unknown>(useEngine(), entity, options);
}

function useAppQueryOne<T = never>(entity: NameFor<T>, id: string): RowResult<T>;
function useAppQueryOne<E extends EntityName>(entity: E, id: string): RowResult<RegisteredRows[E]>;
function useAppQueryOne(entity: string, id: string): RowResult<unknown> {
  return useQueryOne<unknown>(useEngine(), entity, id);
}

function useAppMutation<A = never, R = unknown>(name: NameFor<A>): FunctionCalls<A, R>;
function useAppMutation<N extends FunctionName>(name: N): MutationState<N>;
function useAppMutation(name: string): FunctionCalls<Fields, unknown> {
  return useMutation<Fields, unknown>(useEngine(), name);
}

function callAppFunction<T = never>(name: NameFor<T>, args?: Fields): Promise<T>;
function callAppFunction<N extends FunctionName>(
  name: N,
  ...args: CallArgs<RegisteredFunctions[N]["args"]>
): Promise<RegisteredFunctions[N]["result"]>;
function callAppFunction(name: string, args: object = {}): Promise<unknown> {
  return getEngine().fn(name, { ...args });
}
