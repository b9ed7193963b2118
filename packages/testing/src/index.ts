/**
 * Tests a Pylon app in memory.
 *
 * @module
 */
import { resolve } from "node:path";
import { buildManifest, type Entity, type ManifestPolicy, type Plugin } from "@pylonsync/sdk";
import type { Backend, BackendOptions } from "./backend.ts";
import { TestApp, type AppDefinition } from "./test-app.ts";

export {
  TestApp,
  TestClient,
  TestRows,
  type AppDefinition,
  type TestMail,
  type TestRow,
  type TestUser,
  type TestHttpRequest,
  type TestWebhookRequest,
} from "./test-app.ts";

/** The options of a test app. */
export interface TestAppOptions {
  /** The value of `ctx.env` in functions; default: empty. */
  readonly env?: Readonly<Record<string, string>>;
  /** The initial time; default: noon on January 31, 2026, UTC. */
  readonly now?: Date;
  /** The folder of the functions, relative to the app's folder; default `functions`. */
  readonly functionsDir?: string;
}

/**
 * Opens an app in memory, without ports and network: in this process with Bun, in a separate Bun
 * process with Node.
 *
 * @param source the app's folder, or with Bun an app that is defined in the test
 * @throws Error with the first error in the app
 *
 * @example
 * const t = await createTestApp(".");
 * await t.run("addTodo", { title: "milk" }, { as: "ann" });
 * await t.advance("1h");
 * await t.close();
 */
export async function createTestApp(
  source: string | AppDefinition,
  { env = {}, now, functionsDir }: TestAppOptions = {},
): Promise<TestApp> {
  const dir = typeof source === "string" ? resolve(source) : process.cwd();
  return new TestApp(await open(source, { dir, env, functionsDir, now: now?.getTime() }));
}

/** The app for the plugins under test. */
export interface PluginAppOptions extends Omit<TestAppOptions, "functionsDir"> {
  /** The entities for the plugins. */
  readonly entities?: readonly Entity[];
  /** The policies of these entities; without one only `t.db` and functions can access them. */
  readonly policies?: readonly ManifestPolicy[];
  /** Functions of the app, in addition to those of the plugins. */
  readonly functions?: AppDefinition["functions"];
}

/**
 * Opens an app made of plugins, to test them: their entities, hooks, policies, functions, crons and
 * webhooks work as in any app. Only with Bun.
 *
 * @throws Error with the first error in the plugins or the entities
 *
 * @example
 * const Post = entity("Post", { title: field.string() });
 * const t = await createPluginApp([slugify({ entities: { Post: { from: "title" } } })], {
 *   entities: [Post],
 * });
 * const id = await t.db.insert("Post", { title: "Hello, you!" });
 * console.log((await t.db.get("Post", id))?.["slug"]);
 * await t.close();
 */
export function createPluginApp(
  plugins: readonly Plugin[],
  { entities = [], policies = [], functions = {}, ...options }: PluginAppOptions = {},
): Promise<TestApp> {
  const manifest = buildManifest({
    name: "plugin-test",
    version: "1.0.0",
    entities: [...entities],
    policies: [...policies],
    plugins: [...plugins],
  });
  return createTestApp({ manifest, functions }, options);
}

async function open(source: string | AppDefinition, options: BackendOptions): Promise<Backend> {
  if (process.versions["bun"] !== undefined) {
    const { openBunBackend } = await import("./bun-backend.ts");
    return openBunBackend(typeof source === "string" ? null : source, options);
  }
  if (typeof source !== "string")
    throw new TypeError(
      "In Node, pass the app's folder: functions can't be passed to another process.",
    );
  const { openChildBackend } = await import("./child-backend.ts");
  return openChildBackend(options);
}
