import type {
  EntityName,
  RegisteredRows,
  RegisteredInserts,
  RegisteredPatches,
} from "@pylonsync/sdk";
import { HttpClient, parseAnswer, PylonClientError, type SyncEngine } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "./client.ts";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The credentials and the server of a request. */
export interface RequestAs {
  /** Overrides the session's token. */
  readonly token?: string | null | undefined;
  /** The engine whose server is used; default: the app's. */
  readonly sync?: SyncEngine | undefined;
}

/** The range of a list. */
export interface FetchListOptions extends RequestAs {
  /** The maximum number of rows, up to 1,000. Default 1,000. */
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

/** Returns an HTTP client: with the engine's session, or with another token. */
export function apiOf({ token, sync = getEngine() }: RequestAs): Pick<SyncEngine, "request"> {
  return token === undefined ? sync : new HttpClient(sync.baseUrl, sync.platform, () => token);
}

const ListSchema = v.object({ data: v.array(v.unknown()) });
const InsertedSchema = v.object({ id: v.string() });
const UpdatedSchema = v.object({ updated: v.boolean() });
const DeletedSchema = v.object({ deleted: v.boolean() });

/** With an explicit row type in place of the registered one. */
export function fetchList<T = never>(entity: NameFor<T>, options?: FetchListOptions): Promise<T[]>;
/**
 * Reads rows from the server and not from the replica: sorted by id, at most 1,000.
 *
 * @throws PylonClientError
 *
 * @example
 * const todos = await fetchList("Todo", { limit: 50 });
 */
export function fetchList<E extends EntityName>(
  entity: E,
  options?: FetchListOptions,
): Promise<RegisteredRows[E][]>;
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

/** With an explicit row type in place of the registered one. */
export function fetchById<T = never>(
  entity: NameFor<T>,
  id: string,
  options?: RequestAs,
): Promise<T | null>;
/**
 * Reads one row from the server; null if it does not exist or can't be read.
 *
 * @example
 * const todo = await fetchById("Todo", "todo-1");
 */
export function fetchById<E extends EntityName>(
  entity: E,
  id: string,
  options?: RequestAs,
): Promise<RegisteredRows[E] | null>;
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

/** With an explicit type for the inserted data. */
export function insert<T = never>(
  entity: NameFor<T>,
  data: NoInfer<Partial<T>>,
  options?: RequestAs,
): Promise<{ readonly id: string }>;
/**
 * Inserts a row on the server and waits for the response. In contrast, `db.insert` is optimistic
 * and works offline.
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
export async function insert(
  entity: string,
  data: Fields,
  options: RequestAs = {},
): Promise<{ readonly id: string }> {
  return parseAnswer(InsertedSchema, await apiOf(options).request("POST", pathOf(entity), data));
}

/** With an explicit row type. */
export function update<T = never>(
  entity: NameFor<T>,
  id: string,
  patch: NoInfer<Partial<T>>,
  options?: RequestAs,
): Promise<{ readonly updated: boolean }>;
/**
 * Updates a row on the server and waits for the response; see also `db.update`.
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
 * Deletes a row on the server and waits for the response; see also `db.delete`.
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

/** A server function, as returned by `listFns`. */
export interface ListedFn {
  readonly name: string;
  /** `query`, `mutation` or `action`. */
  readonly fn_type: string;
}

/**
 * Lists the functions of the server. Only in dev mode or for the admin.
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
