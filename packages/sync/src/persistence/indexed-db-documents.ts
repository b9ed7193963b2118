import type { DocumentDisk, KeptDocumentPart } from "./disk.ts";
import { asked, type Database } from "./idb.ts";
import type { StoreName } from "./indexed-db-layout.ts";

/** Opens the storage of documents. */
export function documentsIn(db: Database<StoreName>): DocumentDisk {
  return {
    read: () =>
      db.in(["documents"], "readonly", (stores) =>
        asked<KeptDocumentPart[]>(stores("documents").getAll()),
      ),
    change: (added, removed) =>
      db.in(["documents"], "readwrite", async (stores) => {
        const table = stores("documents");
        for (const part of added) await asked(table.put(part));
        for (const id of removed) await asked(table.delete(id));
      }),
  };
}
