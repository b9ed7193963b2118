import type { Emitter } from "../platform/emitter.ts";
import type { PeerMessage } from "./transport/transport.ts";

/**
 * The events that the parts of an engine emit. The parts do not call each other: the engine handles
 * all events in one place, in the order that is documented here.
 *
 * - `snapshot`: the replica is a current snapshot. It is stored on disk.
 * - `follow`: another tab stores the rows on disk. This tab does not write them.
 * - `drop`: the replica's previous rows are no longer shown, nor written to disk.
 * - `advance`: the replica's cursor moved. Writes that it includes are released, then it is stored.
 * - `online`: the server is reachable again. A push that may be lost is sent again.
 * - `listening`: a live connection receives all events from now on. Rooms reload their members.
 * - `message`: a message of another user. Its listeners are called.
 * - `connection`: the connection's state, the replica or the transport changed. The status follows.
 * - `unauthorized`: a push failed because no user is signed in. The session is reloaded.
 * - `unreachable`: a push did not get through. The connection checks whether the server responds.
 * - `writes`: the queue contains the stored writes. It is sent.
 */
export type EngineEvent =
  | { readonly type: "message"; readonly message: PeerMessage }
  | {
      readonly type:
        | "snapshot"
        | "follow"
        | "drop"
        | "advance"
        | "online"
        | "listening"
        | "connection"
        | "unauthorized"
        | "unreachable"
        | "writes";
    };

/** The event bus of an engine. */
export type EngineBus = Emitter<EngineEvent>;
