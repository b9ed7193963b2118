/**
 * What `@pylonsync/next` is in server components: the same, and the real `createPylonServer`.
 *
 * @module
 */
export * from "./client.ts";
export { createPylonServer } from "./server.ts";
