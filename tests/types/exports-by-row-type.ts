// Hooks and calls that name the row's type, as apps of the public system use them. Checked by `npm
// test`, never run.
import {
  createTypedDb,
  db,
  fetchById,
  fetchList,
  insert,
  update,
  useAction,
  useAggregate,
  useSearch,
  useDelete,
  useEngine,
  useFn,
  useInfiniteQuery,
  useInsert,
  useLiveList,
  useLiveRow,
  useMutation,
  usePaginatedQuery,
  useQueryOneRaw,
  useQueryRaw,
  useUpdate,
  type AgentDBClientConfig,
  type AgentDBSchema,
  type AggregateSpec,
  type AppManifest,
  type ChangeEvent,
  type HydrationData,
  type PaginatedQueryStatus,
  type PullResponse,
  type QueryFilter,
  type RoomPeer,
  type RoomSnapshot,
  type RouteMode,
  type Row,
  type SyncCursor,
  type TypedDb,
  type UploadedFile,
  type SearchSpec,
  type UseAggregateReturn,
  type UseSearchReturn,
  type UseEntityMutationReturn,
  type UseFnReturn,
  type UseInfiniteQueryReturn,
  type UseMutationReturn,
  type UsePaginatedQueryReturn,
  type UseQueryOneReturn,
  type UseQueryReturn,
  type UseSessionReturn,
} from "@pylonsync/react";
import type {
  ActionDefinition,
  AuthConfig,
  AuthMode,
  CrdtAnnotation,
  EntityDefinition,
  FieldDefinition,
  FieldType,
  IndexDefinition,
  InputFieldDefinition,
  ManifestAction,
  ManifestAuthConfig,
  ManifestInputField,
  ManifestQuery,
  PluginDefinition,
  PolicyDefinition,
  QueryDefinition,
  RelationDefinition,
  RouteDefinition,
  SearchConfig,
} from "@pylonsync/sdk";
import type { MutationQueuePersistence } from "@pylonsync/sync";

interface Todo {
  id: string;
  title: string;
  done: boolean;
}

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function checkHooks(): Promise<void> {
  const sync = useEngine();
  const infinite = db.useInfiniteQuery<Todo>("Todo", { pageSize: 10 });
  same<typeof infinite, UseInfiniteQueryReturn<Todo>>(true);
  // The list belongs to the component, so it may be sorted in place.
  infinite.data.sort((a, b) => a.title.localeCompare(b.title));
  await infinite.loadMore();
  same<typeof infinite.data, Todo[]>(true);
  const alone = useInfiniteQuery<Todo>(sync, "Todo");
  same<typeof alone, UseInfiniteQueryReturn<Todo>>(true);
  const paginated = db.usePaginatedQuery<Todo>("Todo", { initialNumItems: 5 });
  same<typeof paginated, UsePaginatedQueryReturn<Todo>>(true);
  same<typeof paginated.status, PaginatedQueryStatus>(true);
  const ownStatus = usePaginatedQuery<Todo>(sync, "Todo").status;
  same<typeof ownStatus, PaginatedQueryStatus>(true);
  const spec: AggregateSpec = { count: "*", groupBy: [{ field: "at", bucket: "day" }] };
  const sums = db.useAggregate<{ count: number }>("Todo", spec);
  same<typeof sums, UseAggregateReturn<{ count: number }>>(true);
  same<typeof sums.data, { count: number }[] | null>(true);
  const ownSums = useAggregate<{ count: number }>(sync, "Todo", spec);
  same<typeof ownSums, typeof sums>(true);
  const search: SearchSpec = { query: "milk", filters: { done: false }, pageSize: 5 };
  const found = db.useSearch<Todo>("Todo", search);
  same<typeof found, UseSearchReturn<Todo>>(true);
  same<typeof found.hits, Todo[]>(true);
  const ownFound = useSearch<Todo>(sync, "Todo", search);
  same<typeof ownFound, typeof found>(true);
  const fn = useFn<{ title: string }, { id: string }>("addTodo");
  same<typeof fn, UseFnReturn<{ title: string }, { id: string }>>(true);
  same<Awaited<ReturnType<typeof fn.call>>, { id: string }>(true);
  // @ts-expect-error the title is missing
  await fn.call();
  const add = useMutation<{ title: string }, { id: string }>("addTodo", { token: "t" });
  same<typeof add, UseMutationReturn<{ title: string }, { id: string }>>(true);
  const act = useAction<{ title: string }, { id: string }>(sync, "addTodo");
  // @ts-expect-error the title is a string
  await act({ title: 1 });
  await useInsert<Todo>(sync, "Todo")({ title: "milk" });
  await useUpdate<Todo>(sync, "Todo")("x", { done: true });
  // @ts-expect-error there is no such field
  await useUpdate<Todo>(sync, "Todo")("x", { colour: "red" });
  await useDelete<Todo>(sync, "Todo")("x");
  const list = useLiveList<Todo>(sync, "Todo");
  same<ReturnType<typeof list.getSnapshot>, readonly Todo[]>(true);
  const rawList = useQueryRaw<Todo>(sync, "Todo");
  same<typeof rawList, typeof list>(true);
  const row = useLiveRow<Todo>(sync, "Todo", "x");
  same<ReturnType<typeof row.getSnapshot>, Todo | null>(true);
  const rawRow = useQueryOneRaw<Todo>(sync, "Todo", "x");
  same<typeof rawRow, typeof row>(true);
}

export async function checkCalls(): Promise<void> {
  const todos = await fetchList<Todo>("Todo");
  same<typeof todos, Todo[]>(true);
  const todo = await fetchById<Todo>("Todo", "x");
  same<typeof todo, Todo | null>(true);
  const { id } = await insert<Todo>("Todo", { title: "milk" });
  same<typeof id, string>(true);
  await update<Todo>("Todo", "x", { done: true });
  const { store } = db.sync;
  const own = { row_id: "x", data: { title: "own", done: false } };
  store.applyChange({ seq: 0, entity: "Todo", kind: "insert", timestamp: "", ...own });
  await store.applyChangesAsync([
    { seq: 1, entity: "Todo", row_id: "x", kind: "delete", timestamp: "" },
  ]);
  const page = await db.sync.loadPage<Todo>("Todo", { limit: 5 });
  same<typeof page.data, Todo[]>(true);
  const query = db.sync.createInfiniteQuery<Todo>("Todo", { pageSize: 5 });
  same<typeof query.data, readonly Todo[]>(true);
  const file: UploadedFile = await db.uploadFile(new Blob());
  same<typeof file.size, number>(true);
}

interface AppSchema {
  entities: { Todo: Todo };
  functions: { addTodo: { input: { title: string }; output: { id: string } } };
  queries: Record<string, never>;
}

export async function checkTypedDb(): Promise<void> {
  const typed: TypedDb<AppSchema> = createTypedDb<AppSchema>();
  const { data } = typed.useQuery("Todo", { where: { done: false }, orderBy: { title: "asc" } });
  same<typeof data, Todo[]>(true);
  same<ReturnType<typeof typed.useQueryOne<"Todo">>["data"], Todo | null>(true);
  same<ReturnType<typeof typed.useInfiniteQuery<"Todo">>["data"], Todo[]>(true);
  const added = await typed.useMutation("addTodo").mutate({ title: "milk" });
  same<typeof added, { id: string }>(true);
  same<Awaited<ReturnType<typeof typed.fn<"addTodo">>>, { id: string }>(true);
  // @ts-expect-error there is no such entity
  typed.useQuery("Nope");
  // @ts-expect-error the title is a string
  await typed.fn("addTodo", { title: 1 });
  // @ts-expect-error there is no such field
  await typed.insert("Todo", { colour: "red" });
  await typed.update("Todo", "x", { done: true });
  await typed.delete("Todo", "x");
}

/** Type names that an app may use for values that it holds. */
export interface Names {
  readonly schema: AgentDBSchema;
  readonly config: AgentDBClientConfig;
  readonly manifest: AppManifest;
  readonly event: ChangeEvent;
  readonly hydration: HydrationData;
  readonly pulled: PullResponse;
  readonly filter: QueryFilter;
  readonly peer: RoomPeer;
  readonly snapshot: RoomSnapshot;
  readonly mode: RouteMode;
  readonly row: Row;
  readonly cursor: SyncCursor;
  readonly writes: UseEntityMutationReturn;
  readonly one: UseQueryOneReturn<Todo>;
  readonly many: UseQueryReturn<Todo>;
  readonly session: UseSessionReturn;
  readonly persistence: MutationQueuePersistence;
  readonly declared: readonly [
    ActionDefinition,
    AuthConfig,
    AuthMode,
    CrdtAnnotation,
    EntityDefinition,
    FieldDefinition,
    FieldType,
    IndexDefinition,
    InputFieldDefinition,
    ManifestAction,
    ManifestAuthConfig,
    ManifestInputField,
    ManifestQuery,
    PluginDefinition,
    PolicyDefinition,
    QueryDefinition,
    RelationDefinition,
    RouteDefinition,
    SearchConfig,
  ];
}
