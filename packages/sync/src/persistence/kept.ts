/**
 * The code for persistence: one module, so that it is loaded with one request, in parallel with the
 * first request to the server.
 */
export { openIndexedDb } from "./indexed-db.ts";
export { Persistence } from "./persistence.ts";
