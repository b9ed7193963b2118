import { pylon, PylonProcess, TempFolder, type Result } from "./pylon-process.ts";

const TOKEN = "canary-admin-token-of-this-test-0123";

/** An app that `pylon start` serves, and the commands that call its server as the admin. */
export class ServedApp implements AsyncDisposable {
  readonly folder: TempFolder;
  readonly url: string;
  /** The environment of its admin. */
  readonly env = { PYLON_ADMIN_TOKEN: TOKEN };
  readonly #server: PylonProcess;

  private constructor(folder: TempFolder, server: PylonProcess, url: string) {
    this.folder = folder;
    this.#server = server;
    this.url = url;
  }

  /** @param files the contents of the app's folder, by path */
  static async start(files: Readonly<Record<string, string>>): Promise<ServedApp> {
    const folder = new TempFolder();
    folder.write(files);
    const env = { PYLON_ADMIN_TOKEN: TOKEN };
    const server = new PylonProcess(["start", "--port", "0"], folder.path, env);
    const { port } = await server.event();
    return new ServedApp(folder, server, `http://127.0.0.1:${Number(port)}`);
  }

  /** Runs a command in the app's folder. */
  run(...args: readonly string[]): Promise<Result> {
    return pylon([...args, "--url", this.url], this.folder.path, this.env);
  }

  /** Requests a path of the server. */
  get(path: string): Promise<Response> {
    return fetch(this.url + path, { headers: { Authorization: `Bearer ${TOKEN}` } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
