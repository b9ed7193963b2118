import { inLoadTime } from "../../platform/load-code.ts";
import type { Platform } from "../../platform/platform.ts";
import type { LiveConnection, TextEvents } from "./transport.ts";

/** The maximum number of messages that are buffered for a connection that is about to open. */
const MAX_EARLY = 256;

/** Buffers messages until a connection can send; they are sent first. */
export class EarlyMessages {
  #texts: string[] | null = [];

  /** @returns false if the connection must send it itself */
  keep(text: string): boolean {
    if (this.#texts === null) return false;
    if (this.#texts.length < MAX_EARLY) this.#texts.push(text);
    return true;
  }

  flush(send: ((text: string) => void) | undefined): void {
    const texts = this.#texts ?? [];
    this.#texts = null;
    for (const text of texts) send?.(text);
  }
}

/** Opens a connection whose code is loaded on demand, because few pages need it. */
export function openLater(
  platform: Pick<Platform, "after">,
  load: () => Promise<() => LiveConnection>,
  { onEnd }: Pick<TextEvents, "onEnd">,
): LiveConnection {
  let connection: LiveConnection | null = null;
  let isClosed = false;
  const early = new EarlyMessages();
  inLoadTime(platform, load()).then(
    (open) => {
      if (isClosed) return;
      const opened = open();
      connection = opened;
      early.flush((text) => opened.send?.(text));
    },
    () => {
      if (!isClosed) onEnd("lost");
    },
  );
  return {
    close: () => {
      isClosed = true;
      connection?.close();
    },
    send: (text) => {
      if (!early.keep(text)) connection?.send?.(text);
    },
  };
}
