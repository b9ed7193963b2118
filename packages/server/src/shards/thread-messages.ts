import type { ShardLogLine, ShardPlayer } from "@pylonsync/functions";
import { PylonError, type CloseCode, type ShardRole } from "@pylonsync/protocol";
import type { SentWith, ShardFate } from "./running-shard.ts";
import type {
  CallResult,
  RecordedStep,
  RecordingPiece,
  RequestedCall,
} from "@pylonsync/functions/simulation";

/** Where the code of a shard is. */
export interface ShardSource {
  /** The app's folder. */
  readonly root: string;
  readonly file: string;
}

/** What a thread is told. `call` asks for an answer under this number. */
export type ToThread =
  | {
      readonly kind: "start";
      readonly call: number;
      readonly id: string;
      readonly source: ShardSource;
      /** Null: a new one. */
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
  | { readonly kind: "replace" }
  | { readonly kind: "save"; readonly call: number }
  | { readonly kind: "stop" };

/** What a connection is sent. */
export type ThreadFrame =
  | { readonly to: number; readonly text: string }
  | { readonly to: number; readonly bytes: Uint8Array }
  | { readonly to: number; readonly tick: number; readonly view: string }
  | { readonly to: number; readonly close: CloseCode; readonly reason: string };

/** What happened in a thread, for the shard's observer, and answers. */
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
  | { readonly kind: "ended"; readonly fate: ShardFate }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly call: number; readonly error: SentError };

/** What a thread says after each step, and after what it was told. */
export interface ThreadReport {
  readonly tick: number;
  readonly players: number;
  readonly queued: number;
  readonly frames: readonly ThreadFrame[];
  readonly events: readonly ThreadEvent[];
}

/** The way to a thread, or from it. Messages arrive in order. */
export interface ThreadPort<Out, In> {
  post(message: Out): void;
  /** Set once, before anything is posted. */
  onMessage: (message: In) => void;
}

/** A thread as the server holds it. */
export interface ShardThread extends ThreadPort<ToThread, ThreadReport> {
  /** It ended by itself. */
  onEnd: (error: unknown) => void;
  /** Ends it at once, whatever it does. */
  terminate(): void;
}

/** An error on its way from one thread to another. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | null;
  /** Of a PylonError. */
  readonly code: string | null;
}

/** An error in a form that can be sent, whatever was thrown. */
export function sentError(error: unknown): SentError {
  if (!(error instanceof Error))
    return { name: "Error", message: String(error), stack: null, code: null };
  const { name, message, stack = null } = error;
  return { name, message, stack, code: error instanceof PylonError ? error.code : null };
}

/** The error that was sent. */
export function receivedError({ name, message, stack, code }: SentError): Error {
  if (code !== null) return new PylonError(code, message);
  const error = new Error(message);
  error.name = name;
  if (stack !== null) error.stack = stack;
  return error;
}
