import type { LiveMessage } from "@pylonsync/protocol";
import type * as Extras from "../connection/extras.ts";
import type { LiveClient } from "../connection/live-client.ts";
import type { TabServer } from "../connection/tabs.ts";
import { Lazy } from "../platform/lazy.ts";
import type { Platform } from "../platform/platform.ts";
import type { LiveTabs, LiveTabsOptions } from "./live-tabs.ts";

/** Serves the other tabs of a browser: the code is loaded when this tab begins to lead. */
export class LazyTabs implements TabServer, LiveClient {
  readonly #tabs: Lazy<LiveTabs>;
  /** Sends a message over the connection; null while there is none. */
  #send: ((text: string) => void) | null = null;

  constructor(
    options: LiveTabsOptions & { readonly platform: Platform },
    extras: Pick<Lazy<typeof Extras>, "load">,
  ) {
    this.#tabs = new Lazy(options.platform, async () => {
      const loaded = await extras.load();
      const tabs = new loaded.LiveTabs(options);
      if (this.#send !== null) tabs.opened(this.#send);
      return tabs;
    });
  }

  whenReady(run: () => void): void {
    this.#tabs.use(run);
    // Without the code, the other tabs open their own connections.
    this.#tabs.load().catch(() => undefined);
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    this.#tabs.part?.opened(send);
  }

  closed(): void {
    this.#send = null;
    this.#tabs.part?.closed();
  }

  reset(): void {
    this.#tabs.part?.reset();
  }

  take(message: LiveMessage): void {
    this.#tabs.part?.take(message);
  }

  receive(tab: string, text: string, tell: (text: string) => void): void {
    this.#tabs.part?.receive(tab, text, tell);
  }

  left(tab: string): void {
    this.#tabs.part?.left(tab);
  }
}
