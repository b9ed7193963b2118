import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// The table of section 5 of spec/compat.md: what apps of the public system import. Each name must
// be exported, and used by a test. The types are named in tests/types, which the compiler checks.

/** The exported values, by module. */
const VALUES: Readonly<Record<string, string>> = {
  sdk: `entitiesToManifest routesToManifest queriesToManifest actionsToManifest
    policiesToManifest`,
  functions: "resetDb installTestIsolation",
  sync: "getServerData IndexedDBPersistence persistChange",
  react: `useAggregate useSearch useInfiniteQuery usePaginatedQuery useShard connectShard
    createTypedDb useFn useAction useInsert useUpdate useDelete useLiveList useLiveRow useQueryRaw
    useQueryOneRaw fetchList fetchById insert update remove createSession getAuthContext
    refreshSession startSessionAutoRefresh listFns uploadFile uploadFileMultipart setReactStorage
    getReactStorage getServerData SyncEngine LocalStore MutationQueue defineRoute`,
  next: "ApiError createPylonServer",
  "next/server": "createPylonServer getAuth requireAuth pylonFetch pylonJson getOAuthProviders",
  "next/client": "api createPylonClient ApiError",
  "next/auth": `signupWithPassword loginWithPassword logout listOAuthProviders startOAuthLogin
    sendVerificationEmail verifyEmail useOAuthProviders useAuthSubmit`,
  "next/proxy": "createPylonProxy",
  loro: `useCollabText useLoroDoc getLoroText getLoroMap detachLoro LoroRegistry globalRegistry
    decodeCrdtFrame encodeCrdtFrame CRDT_FRAME_SNAPSHOT CRDT_FRAME_UPDATE`,
  "react-native": `init createAsyncStorageBridge AsyncStoragePersistence OfflineStore
    useNetworkStatus`,
  workflows: "workflow createRunner WorkflowRunner",
};

/** The members of classes and of `db`; those of collaborative documents are tested with them. */
const MEMBERS: Readonly<Record<string, string>> = {
  SyncEngine: "pull hydrate resetReplica loadPage createInfiniteQuery",
  LocalStore: `applyChange notify applyChangesAsync optimisticInsert optimisticUpdate
    optimisticDelete clearAll subscribe`,
  MutationQueue: "hydrate attachPersistence markApplied markFailed clear remove",
  db: `useQuery useQueryOne useMutation useInfiniteQuery usePaginatedQuery useAggregate useSearch
    fn streamFn uploadFile uploadFileMultipart insert update delete useSession sync`,
};

const wordsOf = (text: string): string[] => text.split(/\s+/);
/** The sources of the repository's tests, without their imports. */
const uses = testFiles()
  .filter((path) => path !== import.meta.path)
  .map((path) => readFileSync(path, "utf8").replaceAll(/^import[^;]*;/gms, ""))
  .join("\n");
const isUsed = (name: string): boolean => new RegExp(`(?<!["\\w])${name}\\b`).test(uses);

/** Tests, and the pages and handlers of the small apps that tests use. */
function testFiles(): string[] {
  const root = join(import.meta.dir, "../..");
  return ["packages", "tests"].flatMap((dir) =>
    readdirSync(join(root, dir), { recursive: true, encoding: "utf8" })
      .filter((path) => !path.includes("node_modules") && !path.startsWith("types/"))
      .filter((path) => /\.test\.tsx?$/.test(path) || (dir === "tests" && /\.tsx?$/.test(path)))
      .map((path) => join(root, dir, path)),
  );
}

test.each(Object.entries(VALUES))("@pylonsync/%s has what apps import", async (module, text) => {
  const names = Object.keys((await import(`@pylonsync/${module}`)) as object);
  expect(wordsOf(text).filter((name) => !names.includes(name))).toEqual([]);
  expect(wordsOf(text).filter((name) => !isUsed(name))).toEqual([]);
});

test("the engine, its parts and db have the members that apps call", async () => {
  const { db, LocalStore, MutationQueue, SyncEngine } = await import("@pylonsync/react");
  const parts: Readonly<Record<string, object>> = {
    SyncEngine: SyncEngine.prototype,
    LocalStore: LocalStore.prototype,
    MutationQueue: MutationQueue.prototype,
    db,
  };
  for (const [part, text] of Object.entries(MEMBERS)) {
    const names = wordsOf(text);
    expect([part, names.filter((name) => !(name in (parts[part] ?? {})))]).toEqual([part, []]);
    expect([part, names.filter((name) => !isUsed(name))]).toEqual([part, []]);
  }
});
