/**
 * The environment in which the launcher starts Bun; variables that are set have precedence. The
 * allocator of Bun looks for unused parts of its pages ten times a second, for which it visits
 * every free block of the process: 1 to 3 ms of CPU per second, a tenth of a game of 50 players.
 * With this setting it is 0.2 ms, and unused memory returns to the system some seconds later.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const RUNTIME_ENV = { MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "5000" };
