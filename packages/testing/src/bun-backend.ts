import type { Backend, BackendOptions, Operation } from "./backend.ts";
import type { AppDefinition } from "./test-app.ts";

/**
 * A variable, because this package is compiled for Node, without the server's sources, which only
 * run on Bun.
 */
const SERVER: string = "@pylonsync/server/test-app";

/** The used parts of that module. */
interface ServerModule {
  openTestApp(source: string | AppDefinition, options: object): Promise<ServerTestApp>;
}

/** An opened app. */
interface ServerTestApp {
  now(): number;
  mails(): unknown;
  run(...args: readonly unknown[]): Promise<unknown>;
  webhook(...args: readonly unknown[]): Promise<unknown>;
  http(...args: readonly unknown[]): Promise<unknown>;
  read(...args: readonly unknown[]): Promise<unknown>;
  write(...args: readonly unknown[]): Promise<unknown>;
  mayWrite(...args: readonly unknown[]): Promise<unknown>;
  advance(...args: readonly unknown[]): Promise<unknown>;
  close(): Promise<void>;
}

/** Opens the app in this process, which runs on Bun. */
export async function openBunBackend(
  definition: AppDefinition | null,
  { dir, ...options }: BackendOptions,
): Promise<Backend> {
  const { openTestApp }: ServerModule = await import(SERVER);
  const open = (): Promise<ServerTestApp> => openTestApp(definition ?? dir, options);
  return new BunBackend(await open(), open);
}

class BunBackend implements Backend {
  #app: ServerTestApp;
  readonly #open: () => Promise<ServerTestApp>;

  constructor(app: ServerTestApp, open: () => Promise<ServerTestApp>) {
    this.#app = app;
    this.#open = open;
  }

  async call(operation: Operation, args: readonly unknown[]): Promise<unknown> {
    if (operation !== "reset") return this.#app[operation](...args);
    await this.#app.close();
    this.#app = await this.#open();
    return null;
  }

  close(): Promise<void> {
    return this.#app.close();
  }
}
