import { afterAll, beforeAll } from "bun:test";
import * as fake from "fake-indexeddb";

const GLOBALS = ["indexedDB", ...Object.keys(fake).filter((name) => name.startsWith("IDB"))];

/**
 * Provides an IndexedDB for the tests of a file, because this process has none. It is shared by all
 * files: each uses unique names.
 */
export function useFakeIndexedDb(): void {
  const before = new Map(GLOBALS.map((name) => [name, Reflect.get(globalThis, name) as unknown]));
  beforeAll(() => {
    for (const name of GLOBALS) Reflect.set(globalThis, name, Reflect.get(fake, name));
  });
  afterAll(() => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(globalThis, name);
      else Reflect.set(globalThis, name, value);
    }
  });
}
