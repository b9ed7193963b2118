/**
 * Defines the allowed imports, including types and dynamic imports: for each package, and within
 * the server for each folder. `layers.test.ts` enforces it. A new edge requires a change of this
 * file, which a review sees.
 */
export interface Layers {
  /**
   * The allowed imports of each name, the highest first. A name may only import names that are
   * below it, so there can be no cycle.
   */
  readonly allowed: Readonly<Record<string, readonly string[] | "all below">>;
  /** What all names above it may import without an entry, except the listed ones. */
  readonly common: Readonly<Record<string, { readonly notFor: readonly string[] }>>;
}

/** The folders of `packages/`. */
export const PACKAGES: Layers = {
  allowed: {
    cli: ["server", "studio", "sdk", "query"],
    // It loads the server by a name that is not compiled: see bun-backend.ts.
    testing: ["workflows", "functions", "sdk", "protocol"],
    server: ["studio", "workflows", "functions", "sdk", "query", "protocol"],
    // The page is built from the hooks and the engine; the server imports only its built files.
    studio: ["react", "sync", "sdk"],
    functions: ["sdk", "query", "protocol"],
    next: ["react", "sync", "sdk"],
    "react-native": ["react", "sync"],
    loro: ["react", "sync", "protocol"],
    react: ["sync", "sdk", "protocol"],
    vue: ["sync"],
    svelte: ["sync"],
    solid: ["sync"],
    "tanstack-db": ["sync", "sdk"],
    workflows: ["sdk"],
    sync: ["sdk", "query", "protocol"],
    sdk: ["query"],
    query: [],
    protocol: [],
  },
  common: {},
};

/** These do no I/O, and use neither the clock nor randomness. */
const PURE = ["policy", "schema"];

/** The folders of packages/server/src, and the files beside them. */
export const SERVER: Layers = {
  allowed: {
    // These assemble everything.
    "index.ts": "all below",
    "test-app.ts": "all below",
    "server.ts": "all below",
    "running-server.ts": "all below",
    assembly: "all below",
    "shard-worker.ts": ["app", "shards"],
    "shard-worker-thread.ts": ["shards"],
    "replica-network.ts": ["shards", "config"],
    "open-store.ts": "all below",
    "maintenance.ts": ["files", "workflows", "shards", "jobs", "auth", "data", "store"],
    // The path of every request.
    http: ["shards", "sync", "auth", "connections", "request", "identity", "observe"],
    // Processes for handlers, which load the app there.
    isolation: ["app", "functions", "request", "store", "schema", "observe"],
    // Aggregates and searches, for clients that follow them.
    "live-reads": ["sync", "data", "request", "store", "identity"],
    // Jobs and runs of workflows, for clients that follow them.
    "live-status": ["workflows", "jobs", "sync", "data", "request", "store", "identity"],
    // Features, each with its routes.
    ai: ["request", "config"],
    studio: ["app", "auth", "request", "config"],
    app: ["mcp", "workflows", "jobs", "functions", "auth", "data", "request", "policy", "schema"],
    documents: ["data", "connections", "request", "store", "schema", "identity"],
    matchmaker: ["shards", "request", "store"],
    rooms: ["connections", "request", "cache", "policy", "store", "identity", "observe"],
    mcp: ["functions", "data", "request", "schema", "identity"],
    workflows: ["jobs", "functions", "request", "store", "identity"],
    webhooks: ["jobs", "auth", "plugins", "request", "store"],
    jobs: ["functions", "request", "store", "schema", "observe", "identity"],
    shards: ["connections", "request", "store", "identity"],
    functions: ["auth", "data", "request", "store", "policy", "schema", "identity", "observe"],
    files: ["plugins", "data", "request", "store", "schema", "identity", "observe", "config"],
    sync: [
      "auth",
      "data",
      "connections",
      "request",
      "store",
      "policy",
      "schema",
      "identity",
      "observe",
    ],
    auth: ["mail", "data", "request", "store", "schema", "identity", "config"],
    mail: ["request", "observe", "config"],
    pubsub: ["request", "cache"],
    monitoring: ["request", "cache", "observe", "config"],
    // The only access to the rows of an app.
    data: ["request", "store", "policy", "schema", "identity", "observe"],
    // Live connections, whatever is sent over them.
    connections: ["identity"],
    // One HTTP request.
    request: ["cache", "store", "identity", "config"],
    // Databases, and other things that outlive a request.
    cache: ["plugins", "observe", "config"],
    store: ["schema", "observe", "config"],
    plugins: ["schema"],
    // Pure code.
    policy: ["schema"],
    schema: [],
    // The base.
    observe: ["config"],
    identity: [],
    config: [],
    util: [],
    "manual-platform.ts": [],
    "platform.ts": [],
    "start-error.ts": [],
  },
  common: {
    util: { notFor: [] },
    "platform.ts": { notFor: PURE },
    "start-error.ts": { notFor: PURE },
  },
};

/** An import of a source, as scripts/imports.mjs finds it. */
export interface Import {
  /** Relative to the root of the repository. */
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
}

/** An import from one name of a layering to another. */
export interface Edge {
  readonly file: string;
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

const SCOPE = "@pylonsync/";
const SERVER_SOURCES = "packages/server/src/";

/**
 * The imports from one package to another. An import of another package by a path is never allowed:
 * it counts as an edge to an unknown name.
 */
export function packageEdges(imports: readonly Import[]): Edge[] {
  return imports.flatMap(({ file, line, specifier }) => {
    const from = packageOf(file);
    if (from === undefined) return [];
    if (specifier.startsWith(SCOPE)) {
      const [to = ""] = specifier.slice(SCOPE.length).split("/");
      return from === to ? [] : [{ file, line, from, to }];
    }
    const to = packageOf(targetOf(file, specifier) ?? "");
    if (to === undefined || from === to) return [];
    return [{ file, line, from, to: `${to} by its path` }];
  });
}

/** The imports from one folder of the server to another. */
export function serverEdges(imports: readonly Import[]): Edge[] {
  return imports.flatMap(({ file, line, specifier }) => {
    const [from, to] = [folderOf(file), folderOf(targetOf(file, specifier) ?? "")];
    return from === undefined || to === undefined || from === to ? [] : [{ file, line, from, to }];
  });
}

/**
 * The violations of the layers.
 *
 * @param names the names that have sources
 * @returns sentences: unknown names, forbidden edges, allowances that point upwards, and unused
 *   ones. The allowances of a name without sources may be unused.
 */
export function faultsOf(
  { allowed, common }: Layers,
  names: ReadonlySet<string>,
  edges: readonly Edge[],
): string[] {
  const order = Object.keys(allowed);
  const below = (name: string): string[] =>
    order.includes(name) ? order.slice(order.indexOf(name) + 1) : [];
  const own = (name: string): readonly string[] => {
    const entry = allowed[name] ?? [];
    return entry === "all below" ? below(name) : entry;
  };
  const mayImport = (name: string, to: string): boolean =>
    own(name).includes(to) ||
    (below(name).includes(to) && common[to]?.notFor.includes(name) === false);
  const used = new Set(edges.map(({ from, to }) => `${from} ${to}`));

  const unknown = [...names].filter((name) => !order.includes(name));
  const forbidden = edges.filter(({ from, to }) => !mayImport(from, to));
  const upwards = order.flatMap((name) =>
    own(name)
      .filter((to) => !below(name).includes(to))
      .map((to) => `${name} -> ${to}`),
  );
  const unused = order
    .filter((name) => names.has(name) && allowed[name] !== "all below")
    .flatMap((name) =>
      own(name)
        .filter((to) => names.has(to) && !used.has(`${name} ${to}`))
        .map((to) => `${name} -> ${to}`),
    );
  return [
    ...unknown.map((name) => `${name} is not in the allow-list.`),
    ...forbidden.map(
      ({ file, line, from, to }) => `${file}:${line}: ${from} may not import ${to}.`,
    ),
    ...upwards.map((edge) => `${edge} is allowed, and does not point downwards.`),
    ...unused.map((edge) => `${edge} is allowed, and nothing uses it.`),
  ];
}

/** The packages that have sources. */
export function packagesIn(imports: readonly Import[]): ReadonlySet<string> {
  return new Set(imports.flatMap(({ file }) => packageOf(file) ?? []));
}

/** The folders of the server, and the files beside them, that have sources with imports. */
export function foldersIn(imports: readonly Import[]): ReadonlySet<string> {
  return new Set(imports.flatMap(({ file }) => folderOf(file) ?? []));
}

/** The file that a relative specifier names, relative to the root; undefined for a module. */
function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

function packageOf(file: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(file)?.[1];
}

function folderOf(file: string): string | undefined {
  if (!file.startsWith(SERVER_SOURCES)) return undefined;
  return file.slice(SERVER_SOURCES.length).split("/")[0];
}
