import type { EntityName, FunctionName, RegisteredEntities, RegisteredFunctions, RegisteredInserts, RegisteredPatches } from "@pylonsync/sdk";
import type { MutationError, QueryOptions, SyncEngine } from "@pylonsync/sync";
import { signOut } from "./auth/calls.ts";
import { getEngine } from "./client.ts";
import { useEntityMutation, useMutation, type EntityMutations, type MutationState } from "./mutations.ts";
import { useQuery, useQueryOne, useStatus, type QueryResult, type RowResult } from "./queries.ts";
import { useEngine } from "./provider.tsx";
import { useSession, type SessionState } from "./session.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * The app's database, in components and outside of them.
 *
 * @example
 * const { data: todos } = db.useQuery("Todo", { where: { done: false } });
 * await db.insert("Todo", { title: "milk" });
 */
export const db = {
  /** The engine behind it. */
  get sync(): SyncEngine {
    return getEngine();
  },
  useQuery: <E extends EntityName>(entity: E, options?: QueryOptions): QueryResult<RegisteredEntities[E]> => useQuery(useEngine(), entity, options),
  useQueryOne: <E extends EntityName>(entity: E, id: string): RowResult<RegisteredEntities[E]> => useQueryOne(useEngine(), entity, id),
  useMutation: <N extends FunctionName>(name: N): MutationState<N> => useMutation(useEngine(), name),
  useEntity: <E extends EntityName>(entity: E): EntityMutations<E> => useEntityMutation(useEngine(), entity),
  useStatus: (): SyncEngine["status"] => useStatus(useEngine()),
  useSession: (): SessionState => useSession(useEngine()),
  /** Writes to the replica at once and to the server as soon as it can be reached. @returns the row's id, which stays */
  insert: <E extends EntityName>(entity: E, data: RegisteredInserts[E]): Promise<string> => getEngine().insert(entity, data as Fields),
  update: <E extends EntityName>(entity: E, id: string, patch: RegisteredPatches[E]): Promise<void> => getEngine().update(entity, id, patch as Fields),
  delete: (entity: EntityName, id: string): Promise<void> => getEngine().delete(entity, id),
  /** Calls a server function. @throws PylonClientError */
  fn: <N extends FunctionName>(name: N, args: RegisteredFunctions[N]["args"]): Promise<RegisteredFunctions[N]["result"]> =>
    getEngine().fn(name, args as Fields) as Promise<RegisteredFunctions[N]["result"]>,
  /** Told of every write that the server refused, after it was taken back. @returns stops it */
  onError: (listener: (error: MutationError) => void): (() => void) => getEngine().onError(listener),
  setPresence: (data: unknown): void => getEngine().setPresence(data),
  publishTopic: (topic: string, data: unknown): void => getEngine().publishTopic(topic, data),
  signInAsGuest: (): Promise<{ readonly token: string; readonly userId: string }> => getEngine().signInAsGuest(),
  /** Ends the session here and on the server, as the function `signOut`. @throws PylonClientError, such as UNREACHABLE */
  signOut: (): Promise<void> => signOut(),
};
