/**
 * The exports of `@pylonsync/next` in server components: the same, with a working
 * `createPylonServer`.
 *
 * @module
 */
export * from "./client.ts";
export { createPylonServer } from "./server.ts";
