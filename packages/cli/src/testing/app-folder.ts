import { afterEach, beforeEach } from "bun:test";
import { join } from "node:path";
import { noteApp, TempFolder } from "./pylon-process.ts";

interface AppFolder {
  readonly folder: Pick<TempFolder, "path" | "write">;
  /** The path of a file in it. */
  readonly at: (file: string) => string;
}

/** A folder with an app of notes: a separate one for each test of the file that calls this. */
export function appFolder(): AppFolder {
  let current: TempFolder;
  beforeEach(() => {
    current = new TempFolder();
    current.write({ "app.ts": noteApp("text: field.string()") });
  });
  afterEach(() => current[Symbol.dispose]());
  return {
    folder: {
      get path() {
        return current.path;
      },
      write: (files) => current.write(files),
    },
    at: (file) => join(current.path, file),
  };
}
