import type {
  EntityName,
  RegisteredEntities,
  RegisteredInserts,
  RegisteredPatches,
} from "@pylonsync/sdk";
import { HttpClient, parseAnswer, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "./client.ts";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Who asks, and whom. */
export interface RequestAs {
  /** Takes the place of the signed-in session's. */
  readonly token?: string | null | undefined;
  /** The engine whose server is asked; by default the app's. */
  readonly sync?: SyncEngine | undefined;
}

/** Which part of a list is read. */
export interface FetchListOptions extends RequestAs {
  /** Up to 1,000, which is the default. */
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

/** How the server's HTTP API is asked: as the engine, or with another token. */
export function apiOf({ token, sync = getEngine() }: RequestAs): Pick<SyncEngine, "request"> {
  return token === undefined ? sync : new HttpClient(sync.baseUrl, sync.platform, () => token);
}

const ListSchema = v.object({ data: v.array(v.unknown()) });
const InsertedSchema = v.object({ id: v.string() });
const UpdatedSchema = v.object({ updated: v.boolean() });
const DeletedSchema = v.object({ deleted: v.boolean() });

/**
 * Reads rows from the server, not from the replica: by id, up to 1,000 of them.
 *
 * @throws PylonClientError
 *
 * @example
 * const todos = await fetchList("Todo", { limit: 50 });
 */
export function fetchList<E extends EntityName>(
  entity: E,
  options?: FetchListOptions,
): Promise<RegisteredEntities[E][]>;
/** The same with the row's type in place of the registered one. */
export function fetchList<T = never>(entity: NameFor<T>, options?: FetchListOptions): Promise<T[]>;
export async function fetchList(
  entity: string,
  { limit, offset, ...as }: FetchListOptions = {},
): Promise<unknown[]> {
  const query = new URLSearchParams({
    ...(limit === undefined ? {} : { limit: String(limit) }),
    ...(offset === undefined ? {} : { offset: String(offset) }),
  });
  const path = `${pathOf(entity)}${query.size === 0 ? "" : `?${query.toString()}`}`;
  return parseAnswer(ListSchema, await apiOf(as).request("GET", path)).data;
}

/**
 * Reads one row from the server; null where it is not there or can't be read.
 *
 * @example
 * const todo = await fetchById("Todo", "todo-1");
 */
export function fetchById<E extends EntityName>(
  entity: E,
  id: string,
  options?: RequestAs,
): Promise<RegisteredEntities[E] | null>;
/** The same with the row's type in place of the registered one. */
export function fetchById<T = never>(
  entity: NameFor<T>,
  id: string,
  options?: RequestAs,
): Promise<T | null>;
export async function fetchById(
  entity: string,
  id: string,
  options: RequestAs = {},
): Promise<unknown> {
  try {
    return await apiOf(options).request("GET", pathOf(entity, id));
  } catch (error) {
    if (error instanceof PylonClientError) return null;
    throw error;
  }
}

/**
 * Inserts a row on the server and waits for its answer. `db.insert` shows it at once, and sends it
 * later where there is no connection.
 *
 * @throws PylonClientError
 *
 * @example
 * const { id } = await insert("Todo", { title: "milk" });
 */
export function insert<E extends EntityName>(
  entity: E,
  data: RegisteredInserts[E],
  options?: RequestAs,
): Promise<{ readonly id: string }>;
/** The same with the type of what is inserted. */
export function insert<T = never>(
  entity: NameFor<T>,
  data: NoInfer<Partial<T>>,
  options?: RequestAs,
): Promise<{ readonly id: string }>;
export async function insert(
  entity: string,
  data: Fields,
  options: RequestAs = {},
): Promise<{ readonly id: string }> {
  return parseAnswer(InsertedSchema, await apiOf(options).request("POST", pathOf(entity), data));
}

/**
 * Updates a row on the server and waits for its answer; see `db.update`.
 *
 * @throws PylonClientError
 *
 * @example
 * await update("Todo", "todo-1", { done: true });
 */
export function update<E extends EntityName>(
  entity: E,
  id: string,
  patch: RegisteredPatches[E],
  options?: RequestAs,
): Promise<{ readonly updated: boolean }>;
/** The same with the row's type. */
export function update<T = never>(
  entity: NameFor<T>,
  id: string,
  patch: NoInfer<Partial<T>>,
  options?: RequestAs,
): Promise<{ readonly updated: boolean }>;
export async function update(
  entity: string,
  id: string,
  patch: Fields,
  options: RequestAs = {},
): Promise<{ readonly updated: boolean }> {
  const answer = await apiOf(options).request("PATCH", pathOf(entity, id), patch);
  return parseAnswer(UpdatedSchema, answer);
}

/**
 * Deletes a row on the server and waits for its answer; see `db.delete`.
 *
 * @throws PylonClientError
 *
 * @example
 * await remove("Todo", "todo-1");
 */
export async function remove(
  entity: string,
  id: string,
  options: RequestAs = {},
): Promise<{ readonly deleted: boolean }> {
  return parseAnswer(DeletedSchema, await apiOf(options).request("DELETE", pathOf(entity, id)));
}

const FunctionsSchema = v.array(v.looseObject({ name: v.string(), fn_type: v.string() }));

/** A server function, as `listFns` tells of it. */
export interface ListedFn {
  readonly name: string;
  /** `query`, `mutation` or `action`. */
  readonly fn_type: string;
}

/**
 * The functions of the server, in dev mode or for the admin.
 *
 * @throws PylonClientError FORBIDDEN
 *
 * @example
 * const names = (await listFns()).map(({ name }) => name);
 */
export async function listFns(options: RequestAs = {}): Promise<readonly ListedFn[]> {
  const answer = parseAnswer(FunctionsSchema, await apiOf(options).request("GET", "/api/fn"));
  return answer.map(({ name, fn_type }) => ({ name, fn_type }));
}

function pathOf(entity: string, id?: string): string {
  const path = `/api/entities/${encodeURIComponent(entity)}`;
  return id === undefined ? path : `${path}/${encodeURIComponent(id)}`;
}
