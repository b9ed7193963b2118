/**
 * The wire of Pylon: everything that a client and a server say to each other.
 *
 * Nothing in here does I/O. Each message is a schema, so both sides check what they receive with
 * the same code.
 *
 * @module
 */
export * from "./auth.ts";
export * from "./change.ts";
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export * from "./live.ts";
export * from "./oauth-return.ts";
export * from "./pull.ts";
export * from "./push.ts";
export * from "./rooms.ts";
export * from "./shard-bytes.ts";
export * from "./shards.ts";
export * from "./socket.ts";
