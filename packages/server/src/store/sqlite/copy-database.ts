import { Database } from "bun:sqlite";
import { refuseOtherName } from "./server-note.ts";

/**
 * Copies a database as of one moment, even while a server is writing to it.
 *
 * @param from a SQLite database
 * @param to a file that does not exist yet
 * @throws Error if one of them can't be opened, or the copy is damaged
 * @throws PylonStartError if a server uses the database under another name
 */
export function copyDatabase(from: string, to: string): void {
  refuseOtherName(from);
  const source = new Database(from, { readwrite: true, create: false });
  try {
    source.run("PRAGMA busy_timeout = 5000");
    source.query("VACUUM INTO ?").run(to);
  } finally {
    source.close();
  }
  const copy = new Database(to, { readonly: true });
  try {
    const [found] = copy.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all();
    if (found?.quick_check !== "ok")
      throw new Error(`The copy is damaged: ${found?.quick_check ?? "it can't be read"}.`);
  } finally {
    copy.close();
  }
}
