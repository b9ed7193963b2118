import type { EngineBus } from "../connection/events.ts";
import type { LocalStore } from "./local-store.ts";

/** The number of rows above which a full replica is too large, */
const MAX_ROWS = 10_000;
/** and the number of bytes of JSON above which it is. */
const MAX_BYTES = 5 * 1024 * 1024;
/** The bytes are counted again when the number of rows has grown by this factor. */
const GROWTH = 1.5;

/**
 * Warns once if a full replica is too large, now or later.
 *
 * @param events emits when the store may have more rows
 */
export function warnOfSize(
  store: LocalStore,
  events: EngineBus,
  warn: (text: string) => void,
): void {
  let counted = 0;
  const look = (): void => {
    const rows = store.confirmedCount;
    if (rows <= MAX_ROWS && rows < counted * GROWTH) return;
    counted = rows;
    let bytes = 0;
    if (rows <= MAX_ROWS)
      for (const { row } of store.allConfirmed()) bytes += JSON.stringify(row).length;
    if (rows <= MAX_ROWS && bytes <= MAX_BYTES) return;
    stop();
    const size = rows > MAX_ROWS ? `${rows} rows` : `${Math.round(bytes / 1024 / 1024)} MB`;
    warn(
      `Pylon: this page replicates all ${size} that the user may read. Set sync: "queries" in ` +
        "init() or createSyncEngine() to replicate only what queries show. See docs/client.md.",
    );
  };
  const stop = events.on(({ type }) => {
    if (type === "snapshot" || type === "advance") look();
  });
  // The first rows may have arrived before this code.
  look();
}
