import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { docComments, examplesOf, type DocComment } from "./doc-comments.ts";

// The examples in the doc comments of the packages that apps import are compiled here, as parts of
// an app with the entities, functions and globals of `APP`. What an example takes from its own
// package needs no import.

const root = join(import.meta.dir, "..");
mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
const work = mkdtempSync(join(root, "node_modules", ".cache", "doc-comments-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** The modules of each package, as an app imports them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  sdk: ["@pylonsync/sdk", "@pylonsync/sdk/plugins"],
  functions: ["@pylonsync/functions", "@pylonsync/functions/plugins"],
  sync: [
    "@pylonsync/sync",
    "@pylonsync/sync/bindings",
    "@pylonsync/sync/shards",
    "@pylonsync/sync/text-disk",
  ],
  react: ["@pylonsync/react", "@pylonsync/react/devtools", "@pylonsync/react/safe-path"],
  "react-native": ["@pylonsync/react-native"],
  vue: ["@pylonsync/vue"],
  svelte: ["@pylonsync/svelte"],
  solid: ["@pylonsync/solid"],
  "tanstack-db": ["@pylonsync/tanstack-db"],
  next: ["", "/server", "/client", "/auth", "/handler", "/proxy", "/config"].map(
    (path) => `@pylonsync/next${path}`,
  ),
};

type Module = Readonly<Record<string, unknown>>;

const APP: Readonly<Record<string, string>> = {
  "globals.d.ts": `
    import type { HttpClient, Storage as TokenStorage, SyncEngine } from "@pylonsync/sync";
    declare global {
      const engine: SyncEngine;
      const http: HttpClient;
      const storage: TokenStorage;
      const id: string;
      const userId: string;
      const token: string;
      function render(rows: unknown): void;
      function show(...texts: unknown[]): void;
      function readAll(): Promise<Record<string, string>>;
      function save(key: string, value: string | null): Promise<void>;
    }
  `,
  "app.ts": `
    import { buildManifest, entity, field } from "@pylonsync/sdk";
    const User = entity("User", {
      email: field.string(),
      displayName: field.string().optional(),
    });
    const Todo = entity("Todo", {
      title: field.string(),
      done: field.bool().default(false),
      createdAt: field.datetime().optional(),
      ownerId: field.string().owner(),
    });
    export default buildManifest({ name: "todos", version: "1.0.0", entities: [User, Todo] });
  `,
  "functions/addTodo.ts": `
    import { mutation, v } from "@pylonsync/functions";
    export default mutation({
      args: { title: v.string() },
      handler: async (ctx, { title }) => ({ id: await ctx.db.insert("Todo", { title }) }),
    });
  `,
  "functions/clearDone.ts": `
    import { mutation } from "@pylonsync/functions";
    export default mutation({ handler: () => ({ count: 0 }) });
  `,
  "pylon.client.ts": `
    import "@pylonsync/sdk";
    import type app from "./app.ts";
    import type addTodo from "./functions/addTodo.ts";
    import type clearDone from "./functions/clearDone.ts";
    declare module "@pylonsync/sdk" {
      interface Register {
        app: typeof app;
        functions: { addTodo: typeof addTodo; clearDone: typeof clearDone };
      }
    }
  `,
};

/** By names that are data: a literal would bring all of Next's types into this project. */
async function load(specifier: string): Promise<Module> {
  const module: unknown = await import(specifier);
  return typeof module === "object" && module !== null ? { ...module } : {};
}

async function modulesOf(
  specifiers: readonly string[],
): Promise<readonly (readonly [specifier: string, module: Module])[]> {
  return Promise.all(
    specifiers.map(async (specifier) => [specifier, await load(specifier)] as const),
  );
}

function commentsOf(name: string): DocComment[] {
  return docComments(join(root, "packages", name, "src"));
}

for (const [name, specifiers] of Object.entries(PACKAGES)) {
  test(`each function, hook and class of @pylonsync/${name} has an example`, async () => {
    const comments = commentsOf(name);
    const bare = (await modulesOf(specifiers))
      .flatMap(([, module]) => Object.entries(module))
      .filter(([, value]) => typeof value === "function")
      .map(([exported]) => comments.filter((comment) => comment.name === exported))
      // What another package's module passes on has its comment there.
      .filter((found) => found.length > 0 && found.flatMap(examplesOf).length === 0)
      .map(([comment]) => `packages/${name}/src/${comment?.file}:${comment?.line}`);
    expect(bare).toEqual([]);
  });
}

test("the compiler takes the examples of all doc comments", async () => {
  for (const [path, code] of Object.entries(APP)) write(path, code);
  write("css.d.ts", 'declare module "*.css";');
  write("tsconfig.json", JSON.stringify(tsconfig()));
  for (const [name, specifiers] of Object.entries(PACKAGES)) {
    const modules = await modulesOf(specifiers);
    for (const comment of commentsOf(name))
      for (const [index, code] of examplesOf(comment).entries()) {
        const place = `${comment.file.replaceAll(/\W/g, "_")}-${comment.line}-${index}`;
        write(`${name}-${place}.tsx`, withImports(code, modules));
      }
  }
  const child = Bun.spawn(
    [join(root, "node_modules/.bin/tsc"), "--singleThreaded", "--noEmit", "-p", work],
    { cwd: root, stdout: "pipe", stderr: "inherit" },
  );
  expect(await new Response(child.stdout).text()).toBe("");
  expect(await child.exited).toBe(0);
}, 60_000);

function write(path: string, code: string): void {
  mkdirSync(dirname(join(work, path)), { recursive: true });
  if (!existsSync(join(work, path))) writeFileSync(join(work, path), code);
}

/** An example shows how something is used, and need not use all that it names. */
function tsconfig(): object {
  return {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, allowJs: true },
    include: ["."],
    exclude: [],
  };
}

/** Imports what the code takes from its own package, and says that it is a module. */
function withImports(
  code: string,
  modules: readonly (readonly [specifier: string, module: Module])[],
): string {
  const taken = new Set<string>();
  const imports = modules.map(([specifier, module]) => {
    const names = Object.keys(module).filter(
      (name) => !taken.has(name) && isUsed(code, name) && !isDeclared(code, name),
    );
    for (const name of names) taken.add(name);
    return names.length === 0 ? "" : `import { ${names.join(", ")} } from "${specifier}";\n`;
  });
  return `${imports.join("")}${code}\nexport {};\n`;
}

function isUsed(code: string, name: string): boolean {
  return new RegExp(String.raw`(?<![\w.])${name}(?=[.(<;,) \x60]|$)`, "m").test(code);
}

function isDeclared(code: string, name: string): boolean {
  return new RegExp(String.raw`import [^;]*\b${name}\b|(const|function) ${name}\b`).test(code);
}
