import type { Emitter } from "../platform/emitter.ts";
import type { PeerMessage } from "./transport/transport.ts";

/**
 * What the parts of an engine tell it. They do not call one another: the engine takes every event
 * in one place, and does what follows from it in the order that is written here.
 *
 * - `snapshot`: the replica is a snapshot of now. It is kept on disk.
 * - `drop`: what the replica held is not shown any more, nor written to disk.
 * - `advance`: the replica's cursor moved. Writes that it holds are let go, then it is kept.
 * - `online`: the server is there again. A push that may be lost is sent again.
 * - `listening`: a live connection hears everything from now on. Rooms look who is there.
 * - `message`: something came from another user. Its listeners are called.
 * - `connection`: its state, the replica or the transport is another. The status follows.
 * - `unauthorized`: a push was answered that nobody is signed in. The server is asked who is there.
 * - `unreachable`: a push did not get through. The connection asks whether the server is there.
 * - `writes`: the queue holds what was kept. It is sent.
 */
export type EngineEvent =
  | { readonly type: "message"; readonly message: PeerMessage }
  | {
      readonly type:
        | "snapshot"
        | "drop"
        | "advance"
        | "online"
        | "listening"
        | "connection"
        | "unauthorized"
        | "unreachable"
        | "writes";
    };

/** The bus of one engine. */
export type EngineBus = Emitter<EngineEvent>;
