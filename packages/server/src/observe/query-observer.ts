/**
 * Told of each statement that a database ran. What it does is on the way of every read, so it does
 * next to nothing.
 */
export interface QueryObserver {
  /**
   * @param text the statement without its parameters
   * @param startedAt by `Platform.monotonic`
   * @param rows how many were read or written
   * @param failed the database refused it
   */
  ran(text: string, startedAt: number, rows: number, failed: boolean): void;
}
