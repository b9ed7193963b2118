/** The timeout for a function's response to begin, in milliseconds, as in browsers. */
export const FUNCTION_MS = 300_000;
