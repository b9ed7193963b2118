/** The severities of log lines, in ascending order. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of those levels. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The position of each level in that order. */
export const LOG_RANK: Readonly<Record<LogLevel, number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
};
