/**
 * The wire protocol of Pylon: all messages between clients and servers.
 *
 * Contains no I/O. Messages of clients are checked with schemas, which describe the problem;
 * messages of servers are checked with guards, which are small enough for a page.
 *
 * @module
 */
export * from "./auth.ts";
export * from "./change.ts";
export * from "./client-change.ts";
export * from "./errors.ts";
export * from "./guard.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export * from "./live.ts";
export * from "./live-reads.ts";
export * from "./live-request.ts";
export * from "./live-status.ts";
export * from "./oauth-return.ts";
export * from "./provider-logos.ts";
export * from "./pull.ts";
export * from "./push.ts";
export * from "./push-response.ts";
export * from "./relation-kind.ts";
export * from "./array-kind.ts";
export * from "./document-frame.ts";
export * from "./document-text.ts";
export * from "./rooms.ts";
export * from "./shard-bytes.ts";
export * from "./shards.ts";
export * from "./socket.ts";
