/**
 * Code that no page needs before its first rows: the sender of writes, rooms, live functions, the
 * service for other tabs, the storage of rows, transports other than WebSocket, and the reader of
 * streamed calls. It is one module, loaded when a part is used or shortly after the start, because
 * a deployment may remove the file.
 */
export { callAndRead } from "../engine/call-and-read.ts";
export { Documents } from "../documents/documents.ts";
export { LiveTabs } from "../live/live-tabs.ts";
export { LiveFunctions } from "../live/live-functions.ts";
export { logHead } from "../outbox/log-head.ts";
export { Pusher } from "../outbox/pusher.ts";
export { patchReplica, replaceReplica } from "../persistence/indexed-db-writes.ts";
export { warnOfSize } from "../replica/size-warning.ts";
export { RoomMembership } from "../rooms/room-membership.ts";
export { openLivePolling } from "./transport/live-poll.ts";
export { openLiveStream } from "./transport/live-stream.ts";
export { openPolling } from "./transport/poll.ts";
export { openEventStream } from "./transport/sse.ts";
