import { constants, setPriority } from "node:os";
import { extname, join } from "node:path";
import { startOwnProcess } from "../util/own-process.ts";
import { MERGE_COMMAND } from "./merge-command.ts";
import type { MergeAnswer, MergeMessage, MergeRequest } from "./merge-protocol.ts";

/** Called with the events of a process. */
export interface MergeEvents {
  /** It has started and accepts a request. */
  ready(): void;
  /** It has responded to the request. @param memoryBytes the memory that it uses */
  answered(answer: MergeAnswer, memoryBytes: number): void;
  /** It has ended; the request that it was working on has no response. */
  ended(reason: string): void;
}

/** The server's side of a process that merges documents, one at a time. */
export class MergeProcess {
  readonly #child: Bun.Subprocess;
  readonly #events: MergeEvents;

  /** @param isLowPriority whether other work of the machine comes first */
  constructor(isLowPriority: boolean, events: MergeEvents) {
    this.#events = events;
    this.#child = startOwnProcess<MergeMessage>(command(), "advanced", {
      message: (message) => this.#onMessage(message),
      ended: (reason) => events.ended(reason),
    });
    if (isLowPriority) lowerPriority(this.#child.pid);
  }

  /** May be called only when the process is ready and has responded to the previous request. */
  send(request: MergeRequest): void {
    this.#child.send(request);
  }

  /** Ends the process immediately, regardless of what it is doing; `ended` is called. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #onMessage(message: MergeMessage): void {
    if (message === "ready") this.#events.ready();
    else this.#events.answered(message, message.memoryBytes);
  }
}

/** The priority is only a hint, and the system may not allow to change it. */
function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The process may have ended already.
  }
}

/** Next to this file, with the same extension: TypeScript, or JavaScript in a bundle. */
const MAIN = join(import.meta.dir, `merge-main${extname(import.meta.path)}`);

function command(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath, MERGE_COMMAND] : [process.execPath, MAIN];
}
