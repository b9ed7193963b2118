import { unavailable } from "./unavailable.ts";

/**
 * A placeholder for a hook that returns a collaborative text field and a setter.
 *
 * @throws Error always: the server does not support documents
 *
 * @example
 * const [text, setText] = useCollabText("Note", "n1", "body");
 */
export function useCollabText(
  _entity: string,
  _id: string,
  _field: string,
): [string, (next: string) => void] {
  throw unavailable("useCollabText");
}

/**
 * A placeholder for a hook that returns the Loro document of a row.
 *
 * @throws Error always: the server does not support documents
 *
 * @example
 * const document: unknown = useLoroDoc("Note", "n1");
 */
export function useLoroDoc(_entity: string, _id: string): never {
  throw unavailable("useLoroDoc");
}

/**
 * A placeholder for reading a text of a document.
 *
 * @throws Error always: the server does not support documents
 *
 * @example
 * const text: unknown = getLoroText({}, "body");
 */
export function getLoroText(_document: unknown, _key: string): never {
  throw unavailable("getLoroText");
}

/**
 * A placeholder for reading a map of a document.
 *
 * @throws Error always: the server does not support documents
 *
 * @example
 * const map: unknown = getLoroMap({}, "row");
 */
export function getLoroMap(_document: unknown, _key: string): never {
  throw unavailable("getLoroMap");
}

/**
 * Stops the synchronization of documents. It has no effect, because there are none.
 *
 * @example
 * detachLoro();
 */
export function detachLoro(): void {
  // Apps call it when they stop, so it must not fail.
}

/**
 * A placeholder for the documents of an engine.
 *
 * @example
 * const create = () => new LoroRegistry(); // throws when it is called
 */
export class LoroRegistry {
  /** @throws Error always: the server does not support documents */
  constructor() {
    throw unavailable("LoroRegistry");
  }
}

/**
 * A placeholder for the documents of the page: each use throws.
 *
 * @example
 * console.log(typeof globalRegistry);
 */
export const globalRegistry: Readonly<Record<string, never>> = new Proxy(
  {},
  {
    get() {
      throw unavailable("globalRegistry");
    },
  },
);
