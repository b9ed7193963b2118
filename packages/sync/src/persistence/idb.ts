/** The object stores of a database, by name. */
export type Stores<Name extends string> = (name: Name) => IDBObjectStore;

/** How a database is opened. */
export interface DatabaseOptions {
  readonly name: string;
  /** Must be increased for a new layout. */
  readonly version: number;
  /** @param from the existing version; 0 for none */
  readonly upgrade: (db: IDBDatabase, from: number) => void;
}

/** Errors of a connection that the browser has closed; the second is Safari's. */
const CLOSED = ["InvalidStateError", "UnknownError"];

/**
 * A connection to an IndexedDB database. It is reopened on demand if the browser closes it, as in
 * background tabs or when storage is low.
 */
export class Database<Name extends string> {
  readonly #options: DatabaseOptions;
  #opening: Promise<IDBDatabase> | null = null;
  #isDone = false;

  constructor(options: DatabaseOptions) {
    this.#options = options;
  }

  /** @throws DOMException if it is unavailable, as in some private windows */
  async open(): Promise<void> {
    await this.#open();
  }

  /**
   * Runs a transaction. The callback may run twice, because the connection may close meanwhile.
   *
   * @returns a promise that resolves once it is on disk
   * @throws DOMException if it was rolled back
   */
  async in<T>(
    names: readonly Name[],
    mode: IDBTransactionMode,
    work: (stores: Stores<Name>) => Promise<T>,
  ): Promise<T> {
    const opening = this.#open();
    try {
      return await transact(await opening, names, mode, work);
    } catch (error) {
      const isClosed = error instanceof Error && CLOSED.includes(error.name);
      if (isClosed && opening === this.#opening) this.#opening = null;
      if (this.#isDone || opening === this.#opening) throw error;
      return transact(await this.#open(), names, mode, work);
    }
  }

  close(): void {
    this.#isDone = true;
    void this.#opening?.then(
      (db) => db.close(),
      () => undefined,
    );
  }

  #open(): Promise<IDBDatabase> {
    if (this.#opening !== null) return this.#opening;
    const forget = (): void => {
      if (this.#opening === opening) this.#opening = null;
    };
    const opening = openDatabase(this.#options, forget);
    this.#opening = opening;
    opening.catch(forget);
    return opening;
  }
}

function openDatabase(
  { name, version, upgrade }: DatabaseOptions,
  onClosed: () => void,
): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  request.addEventListener("upgradeneeded", ({ oldVersion }) =>
    upgrade(request.result, oldVersion),
  );
  return asked(request).then((db) => {
    db.addEventListener("close", onClosed);
    // Another tab has a newer version of the app, or the database is being deleted.
    db.addEventListener("versionchange", () => {
      db.close();
      onClosed();
    });
    return db;
  });
}

async function transact<Name extends string, T>(
  db: IDBDatabase,
  names: readonly Name[],
  mode: IDBTransactionMode,
  work: (stores: Stores<Name>) => Promise<T>,
): Promise<T> {
  const tx = db.transaction(names, mode);
  const done = new Promise<void>((resolve, reject) => {
    tx.addEventListener("complete", () => resolve());
    tx.addEventListener("abort", () =>
      reject(tx.error ?? new Error("The transaction was aborted.")),
    );
  });
  const [result] = await Promise.all([work((name) => tx.objectStore(name)), done]);
  return result;
}

/**
 * Resolves with the result of a request.
 *
 * @throws DOMException
 */
export function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () =>
      reject(request.error ?? new Error("The request failed.")),
    );
  });
}
