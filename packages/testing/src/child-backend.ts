import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PylonError } from "@pylonsync/protocol";
import type { Backend, BackendOptions, Operation } from "./backend.ts";

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A message of the Bun process. */
interface Answer {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: { readonly code?: string; readonly message: string; readonly data?: unknown };
  readonly ready?: true;
  readonly failed?: string;
}

/** Opens the app in a Bun process, for tests that run in Node. @throws Error if it fails to open */
export async function openChildBackend(options: BackendOptions): Promise<Backend> {
  const backend = new ChildBackend(options);
  try {
    await backend.ready;
  } catch (error) {
    // Its process would keep that of the test from ending.
    await backend.close();
    throw error;
  }
  return backend;
}

class ChildBackend implements Backend {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PendingCall>();
  readonly ready: Promise<void>;
  #lastId = 0;

  constructor(options: BackendOptions) {
    const own = fileURLToPath(import.meta.url);
    const main = join(dirname(own), `child-main${extname(own)}`);
    this.#child = spawn(bunPath(), ["--no-install", main, JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, BUN_OPTIONS: "--no-orphans" },
    });
    this.ready = new Promise((resolve, reject) => {
      this.#child.on("message", (answer: Answer) => {
        if (answer.ready === true) {
          // A finished test must not wait for it.
          this.#child.unref();
          this.#child.channel?.unref();
          resolve();
        } else if (answer.failed !== undefined) reject(new Error(answer.failed));
        else this.#heard(answer);
      });
      this.#child.on("error", reject);
      this.#child.on("exit", () => {
        const ended = new Error("The process of the app ended.");
        reject(ended);
        for (const { reject: fail } of this.#pending.values()) fail(ended);
        this.#pending.clear();
      });
    });
  }

  call(operation: Operation, args: readonly unknown[]): Promise<unknown> {
    const id = (this.#lastId += 1);
    this.#child.channel?.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, operation, args });
    });
  }

  async close(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child;
    // Without a pid it was not started.
    if (exitCode !== null || signalCode !== null || pid === undefined) return;
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill();
    this.#child.ref();
    await ended;
  }

  #heard({ id = 0, value, error }: Answer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#child.channel?.unref();
    if (error === undefined) pending?.resolve(value);
    else pending?.reject(errorOf(error));
  }
}

function errorOf({ code, message, data, ...details }: NonNullable<Answer["error"]>): Error {
  if (code === undefined) return new Error(message);
  return new PylonError(
    code,
    message,
    data === undefined ? details : { ...details, extra: { data } },
  );
}

function bunPath(): string {
  const manifest = createRequire(import.meta.url).resolve("bun/package.json");
  return join(dirname(manifest), "bin", "bun.exe");
}
