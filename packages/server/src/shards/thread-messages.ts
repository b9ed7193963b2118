import type { ShardLogLine, ShardPlayer } from "@pylonsync/functions";
import { PylonError, type CloseCode, type ShardRole } from "@pylonsync/protocol";
import type { FramePack } from "./frame-pack.ts";
import type { SentWith, StateOnStop } from "./running-shard.ts";
import type {
  CallResult,
  RecordedStep,
  RecordingPiece,
  RequestedCall,
} from "@pylonsync/functions/simulation";

/** The location of a shard's code. */
export interface ShardSource {
  /** The app's folder. */
  readonly root: string;
  readonly file: string;
}

/** A message to a shard's thread. A message with `call` requests an answer with this number. */
export type ToThread =
  | {
      readonly kind: "start";
      readonly call: number;
      readonly id: string;
      readonly source: ShardSource;
      /** The saved state; null: begin a new shard. */
      readonly saved: string | null;
      readonly isRecorded: boolean;
    }
  | {
      readonly kind: "join";
      readonly call: number;
      readonly connection: number;
      readonly player: ShardPlayer;
      readonly takesDeltas: boolean;
      readonly rate: number | null;
      readonly role: ShardRole;
    }
  | { readonly kind: "leave"; readonly connection: number }
  | {
      readonly kind: "input";
      readonly connection: number;
      readonly input: unknown;
      readonly sent: SentWith;
    }
  | {
      readonly kind: "kick";
      readonly call: number;
      readonly playerId: string;
      readonly reason: string;
    }
  | { readonly kind: "settle"; readonly result: CallResult }
  | { readonly kind: "check" }
  | { readonly kind: "backlog"; readonly connection: number; readonly bytes: number }
  /** Frames to the connection were dropped: the next one must be a full view. */
  | { readonly kind: "missed"; readonly connection: number }
  | { readonly kind: "replace" }
  | { readonly kind: "save"; readonly call: number }
  | { readonly kind: "stop" };

/**
 * Encodes messages for a thread. They consist of JSON values, for which this is faster than the
 * runtime's copies of objects.
 */
export function encodeToThread(messages: readonly ToThread[]): string {
  return JSON.stringify(messages);
}

/** Decodes the messages of `encodeToThread`. */
export function decodeToThread(text: string): readonly ToThread[] {
  const messages: ToThread[] = JSON.parse(text);
  return messages;
}

/** A frame to send to a connection, or several of them. */
export type ThreadFrame =
  | { readonly to: number; readonly text: string }
  /** Binary frames of several connections. */
  | { readonly pack: FramePack }
  | { readonly to: number; readonly tick: number; readonly view: string }
  /** The answer to "missed": the frames that follow no longer depend on dropped ones. */
  | { readonly to: number; readonly isResumed: true }
  | { readonly to: number; readonly close: CloseCode; readonly reason: string };

/** An event of a shard's thread: for the shard's observer, or an answer. */
export type ThreadEvent =
  | { readonly kind: "stepped"; readonly ms: number; readonly sent: number }
  | { readonly kind: "overran" | "left out" }
  | { readonly kind: "throttled"; readonly ms: number }
  | { readonly kind: "failed"; readonly where: string; readonly error: SentError }
  | { readonly kind: "schedule"; readonly name: string; readonly args: string }
  | { readonly kind: "call"; readonly requested: RequestedCall }
  | { readonly kind: "logged"; readonly line: ShardLogLine }
  | { readonly kind: "recorded"; readonly step: RecordedStep }
  | { readonly kind: "replay"; readonly piece: RecordingPiece }
  | { readonly kind: "ended"; readonly fate: StateOnStop }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly call: number; readonly error: SentError };

/** The report of a thread after each step, and after each message. */
export interface ThreadReport {
  readonly tick: number;
  readonly players: number;
  readonly queued: number;
  readonly frames: readonly ThreadFrame[];
  readonly events: readonly ThreadEvent[];
}

/** A channel to or from a thread. Messages arrive in order. */
export interface ThreadPort<Out, In> {
  post(message: Out): void;
  /** Set once, before the first message. */
  onMessage: (message: In) => void;
}

/** The server's handle of a shard's thread. */
export interface ShardThread extends ThreadPort<ToThread, ThreadReport> {
  /** Called when the thread ended without `terminate`. */
  onEnd: (error: unknown) => void;
  /** Ends the thread immediately, even if it is stuck. */
  terminate(): void;
}

/** An error in the form that is sent between threads. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | null;
  /** The code of a PylonError; null for other errors. */
  readonly code: string | null;
}

/** Returns any thrown value in a form that can be sent between threads. */
export function sentError(error: unknown): SentError {
  if (!(error instanceof Error))
    return { name: "Error", message: String(error), stack: null, code: null };
  const { name, message, stack = null } = error;
  return { name, message, stack, code: error instanceof PylonError ? error.code : null };
}

/** Restores an error that was sent from another thread. */
export function receivedError({ name, message, stack, code }: SentError): Error {
  if (code !== null) return new PylonError(code, message);
  const error = new Error(message);
  error.name = name;
  if (stack !== null) error.stack = stack;
  return error;
}
