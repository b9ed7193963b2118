import type {
  EntityName,
  FunctionName,
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
  type CallArgs,
  type EntityMutations,
  type FunctionCalls,
  type MutationState,
} from "./mutations.ts";
import {
  useQuery,
  useQueryOne,
  useStatus,
  type EntityQueryOptions,
  type NameFor,
  type QueryResult,
  type RowResult,
} from "./queries.ts";
import { listHooks } from "./list-hooks.ts";
import { useEngine } from "./provider.tsx";
import { useSession, type SessionState } from "./session.ts";
import type * as Uploads from "./uploads.ts";
import type { UploadContent, UploadedFile, UploadOptions } from "./uploads.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * The app's database, in components and outside of them.
 *
 * @example
 * function TodoList() {
 *   const { data: todos } = db.useQuery("Todo", { where: { done: false } });
 *   const add = () => db.insert("Todo", { title: "milk" });
 *   return <button onClick={() => void add()}>{todos.length} to do</button>;
 * }
 */
export const db = {
  /** The engine behind it. */
  get sync(): SyncEngine {
    return getEngine();
  },
  /** The rows that match, live. The options are compared by value. */
  useQuery: useAppQuery,
  /** One row, live; `data` is null where it is not there. */
  useQueryOne: useAppQueryOne,
  ...listHooks,
  /** The result of a query function, live. */
  useFunction,
  /** Calls a server function from a component, with its state. */
  useMutation: useAppMutation,
  /** `insert`, `update` and `remove` of one entity, which show at once. */
  useEntity: <E extends EntityName>(entity: E): EntityMutations<E> =>
    useEntityMutation(useEngine(), entity),
  /** The state of the engine: connection, readiness, pending writes. */
  useStatus: (): SyncEngine["status"] => useStatus(useEngine()),
  /** The current session; show nothing that depends on it before `isLoaded`. */
  useSession: (): SessionState => useSession(useEngine()),
  /**
   * Writes to the replica at once and to the server as soon as it can be reached.
   *
   * @returns the row's permanent id
   */
  insert: <E extends EntityName>(entity: E, data: RegisteredInserts[E]): Promise<string> =>
    getEngine().insert(entity, data),
  /** As `insert`, for some fields of an existing row. */
  update: <E extends EntityName>(
    entity: E,
    id: string,
    patch: RegisteredPatches[E],
  ): Promise<void> => getEngine().update(entity, id, patch),
  /** Deletes a row, in the same way as `insert`. */
  delete: (entity: EntityName, id: string): Promise<void> => getEngine().delete(entity, id),
  /** Calls a server function. @throws PylonClientError */
  fn: callAppFunction,
  /** Calls a function and yields the texts that it streams. */
  streamFn,
  /** Uploads a file as the body of a request. */
  uploadFile: async (content: UploadContent, options?: UploadOptions): Promise<UploadedFile> =>
    (await uploads()).uploadFile(content, options),
  /** Uploads a file as the field `file` of a form. */
  uploadFileMultipart: async (
    content: UploadContent,
    options?: UploadOptions,
  ): Promise<UploadedFile> => (await uploads()).uploadFileMultipart(content, options),
  /**
   * Called for every write that the server refused, after it was rolled back.
   *
   * @returns an unsubscribe function
   */
  onError: (listener: (error: MutationError) => void): (() => void) =>
    getEngine().onError(listener),
  /**
   * Sends presence to the members of this user's rooms, or to everyone in the tenant where the
   * app's `peerMessages` say so. Dropped while there is no connection.
   */
  setPresence: (data: unknown): void => getEngine().setPresence(data),
  /** Sends to the same users; dropped while there is no connection. */
  publishTopic: (topic: string, data: unknown): void => getEngine().publishTopic(topic, data),
  /**
   * Creates a guest, who has rows of their own, and signs in.
   *
   * @throws PylonClientError, such as UNREACHABLE
   */
  signInAsGuest: (): Promise<{ readonly token: string; readonly userId: string }> =>
    getEngine().signInAsGuest(),
  /**
   * Ends the session here and on the server, as the function `signOut`.
   *
   * @throws PylonClientError, such as UNREACHABLE
   */
  signOut: (): Promise<void> => signOut(),
};

/** Few pages upload: the code for it is loaded by those that do. */
function uploads(): Promise<typeof Uploads> {
  return import("./uploads.ts");
}

function useAppQuery<E extends EntityName>(
  entity: E,
  options?: EntityQueryOptions<E>,
): QueryResult<RegisteredRows[E]>;
function useAppQuery<T = never>(entity: NameFor<T>, options?: QueryOptions): QueryResult<T>;
function useAppQuery(entity: string, options?: object): QueryResult<unknown> {
  return useQuery<unknown>(useEngine(), entity, options);
}

function useAppQueryOne<E extends EntityName>(entity: E, id: string): RowResult<RegisteredRows[E]>;
function useAppQueryOne<T = never>(entity: NameFor<T>, id: string): RowResult<T>;
function useAppQueryOne(entity: string, id: string): RowResult<unknown> {
  return useQueryOne<unknown>(useEngine(), entity, id);
}

function useAppMutation<N extends FunctionName>(name: N): MutationState<N>;
function useAppMutation<A = never, R = unknown>(name: NameFor<A>): FunctionCalls<A, R>;
function useAppMutation(name: string): FunctionCalls<never, unknown> {
  return useMutation<Fields, unknown>(useEngine(), name);
}

function callAppFunction<N extends FunctionName>(
  name: N,
  ...args: CallArgs<RegisteredFunctions[N]["args"]>
): Promise<RegisteredFunctions[N]["result"]>;
function callAppFunction<T = never>(name: NameFor<T>, args?: Fields): Promise<T>;
function callAppFunction(name: string, args: object = {}): Promise<unknown> {
  return getEngine().fn(name, { ...args });
}
