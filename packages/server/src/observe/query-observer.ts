/**
 * Called for each statement that a database ran. It delays every read, so it must do very little.
 */
export interface QueryObserver {
  /**
   * @param text the statement without its parameters
   * @param startedAt by `Platform.monotonic`
   * @param rows the number of rows that were read or written
   * @param failed whether the database rejected it
   */
  ran(text: string, startedAt: number, rows: number, failed: boolean): void;
}
