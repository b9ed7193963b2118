import type { ChangeEvent } from "@pylonsync/protocol";
import { PylonClientError } from "./errors.ts";
import type {
  Cursor,
  EndReason,
  LiveConnection,
  PeerMessage,
  TransportEvents,
} from "./transport/transport.ts";

/** How long a tab waits for word of the one that leads, in milliseconds, before it goes alone. */
const JOIN_MS = 1_000;
/**
 * How long a leader may say nothing, in milliseconds, before it is asked: a phone stops tabs in the
 * background, which keep their locks.
 */
const SILENT_MS = 15_000;

/** What tabs of one browser share: a lock that one of them holds, and a channel that all hear. */
export interface TabPlatform {
  /**
   * Waits until it holds the lock. A tab that dies holds none.
   *
   * @returns a function that gives it up, or stops waiting
   */
  lock(name: string, onHeld: () => void): () => void;
  /** Hears what the other tabs post, in their order, and nothing of its own. */
  channel(name: string, onMessage: (message: unknown) => void): TabChannel;
}

/** A channel that a tab is on. */
export interface TabChannel {
  post(message: unknown): void;
  close(): void;
}

/**
 * What tabs say to each other. `ping` asks the leader for `pong`; `join` asks for the leader's
 * `hello`, which is said again by each new leader; `send` is for the server, by the leader's
 * socket; the others are what the server said to the leader. A `stream` is one connection of one
 * leader: changes of another than the one that a tab has caught up with may leave a gap, and are
 * not taken.
 */
type TabMessage =
  | { readonly kind: "join" | "ping" | "pong" }
  | { readonly kind: "send"; readonly text: string }
  | { readonly kind: "hello"; readonly stream: string }
  | {
      readonly kind: "changes";
      readonly stream: string;
      readonly events: readonly ChangeEvent[];
    }
  | { readonly kind: "message"; readonly message: PeerMessage }
  | { readonly kind: "end"; readonly why: EndReason };

/** How a tab of a group gets what happens. */
export interface TabFeed {
  /** The transport that a tab without a leader would open. @throws Error where it can't */
  readonly open: (events: TransportEvents) => LiveConnection;
  /**
   * Asks the server what happened since the replica's cursor, and takes it.
   *
   * @returns where the replica is then
   * @throws PylonClientError
   */
  readonly catchUp: () => Promise<Cursor>;
  readonly events: TransportEvents;
}

/**
 * The tabs of a browser that show the same user's replica of a server. One of them leads: it alone
 * has a live connection, and passes on what it hears. The others ask the server once what they have
 * missed, then listen to the leader. When the leader is gone, the next one takes its place; when it
 * does not answer, a tab opens a connection of its own.
 */
export class TabGroup {
  readonly name: string;
  readonly #tabId: string;
  readonly #after: (delayMs: number, run: () => void) => () => void;
  readonly #channel: TabChannel;
  readonly #giveUp: () => void;
  #isLeader = false;
  /** This tab's connection while it leads; null while that is not live. */
  #stream: string | null = null;
  #streams = 0;
  #feed: SharedFeed | null = null;

  /** @param tabId tells this tab from the others */
  constructor(
    tabs: TabPlatform,
    name: string,
    tabId: string,
    after: (delayMs: number, run: () => void) => () => void,
  ) {
    this.name = name;
    this.#tabId = tabId;
    this.#after = after;
    this.#channel = tabs.channel(name, (message) => {
      if (isTabMessage(message)) this.#hear(message);
    });
    this.#giveUp = tabs.lock(name, () => {
      this.#isLeader = true;
      this.#feed?.lead();
    });
  }

  /** Opens this tab's live connection, by the leader's where there is one. */
  open(feed: TabFeed): LiveConnection {
    const shared = new SharedFeed(feed, {
      leading: (events) => this.#leading(events),
      post: (message) => this.#channel.post(message),
      after: this.#after,
      onClose: () => {
        if (this.#feed === shared) this.#feed = null;
        this.#stream = null;
      },
    });
    this.#feed = shared;
    if (this.#isLeader) shared.lead();
    else shared.follow();
    return shared;
  }

  /** Gives up the lead, and hears no more. */
  leave(): void {
    this.#giveUp();
    this.#channel.close();
  }

  /** The events of the leader's own connection, told to the other tabs too. */
  #leading(events: TransportEvents): TransportEvents {
    this.#streams += 1;
    const stream = `${this.#tabId}:${this.#streams}`;
    const post = (message: TabMessage): void => this.#channel.post(message);
    return {
      onOpen: events.onOpen,
      onChanges: (changes) => {
        post({ kind: "changes", stream, events: changes });
        events.onChanges(changes);
      },
      onHello: (hello) => {
        events.onHello(hello);
        this.#stream = stream;
        this.#sayHello();
      },
      onMessage: (message) => {
        post({ kind: "message", message });
        events.onMessage(message);
      },
      onEnd: (why) => {
        this.#stream = null;
        post({ kind: "end", why });
        events.onEnd(why);
      },
    };
  }

  #sayHello(): void {
    const stream = this.#stream;
    if (stream !== null) this.#channel.post({ kind: "hello", stream } satisfies TabMessage);
  }

  #hear(message: TabMessage): void {
    if (!this.#isLeader) this.#feed?.hear(message);
    else if (message.kind === "join") this.#sayHello();
    else if (message.kind === "ping" && this.#stream !== null)
      this.#channel.post({ kind: "pong" } satisfies TabMessage);
    else if (message.kind === "send") this.#feed?.send(message.text);
  }
}

interface SharedOptions {
  readonly leading: (events: TransportEvents) => TransportEvents;
  readonly post: (message: TabMessage) => void;
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly onClose: () => void;
}

/** The live connection of one tab: another tab's, or its own. */
class SharedFeed implements LiveConnection {
  readonly #feed: TabFeed;
  readonly #options: SharedOptions;
  /** This tab's own connection; null while it listens to the leader. */
  #own: LiveConnection | null = null;
  /** The stream that it listens to. */
  #stream: string | null = null;
  /** What the leader said while the server is asked what was before; null at other times. */
  #waiting: TabMessage[] | null = null;
  #cancelWait: () => void = () => undefined;
  #isEnded = false;

  constructor(feed: TabFeed, options: SharedOptions) {
    this.#feed = feed;
    this.#options = options;
  }

  /** Opens a connection whose events all tabs are told. */
  lead(): void {
    if (this.#isEnded) return;
    this.#own?.close();
    this.#open(this.#options.leading(this.#feed.events));
  }

  /** Waits for the leader's word. */
  follow(): void {
    this.#options.post({ kind: "join" });
    this.#waitForLeader();
  }

  hear(message: TabMessage): void {
    if (this.#isEnded || this.#own !== null || isOfFollower(message)) return;
    if (this.#stream !== null) this.#watchLeader();
    if (message.kind === "hello") {
      if (message.stream !== this.#stream) void this.#catchUp(message.stream);
    } else if (message.kind === "end") {
      if (this.#stream !== null) this.#end(message.why);
    } else if (message.kind === "changes" && message.stream !== this.#stream) return;
    else if (this.#waiting !== null) this.#waiting.push(message);
    else if (this.#stream !== null) this.#take(message);
  }

  send(text: string): void {
    if (this.#own === null) this.#options.post({ kind: "send", text });
    else this.#own.send?.(text);
  }

  check(withinMs: number): void {
    if (this.#own !== null) this.#own.check?.(withinMs);
    else this.#askLeader(Math.min(withinMs, JOIN_MS));
  }

  close(): void {
    this.#isEnded = true;
    this.#cancelWait();
    this.#own?.close();
    this.#options.onClose();
  }

  #watchLeader(): void {
    this.#cancelWait();
    this.#cancelWait = this.#options.after(SILENT_MS, () => this.#askLeader(JOIN_MS));
  }

  /** Without a word of the leader this tab opens a connection of its own, from its own cursor. */
  #askLeader(withinMs: number): void {
    this.#options.post({ kind: "ping" });
    this.#cancelWait();
    this.#cancelWait = this.#options.after(withinMs, () => this.#open(this.#feed.events));
  }

  #waitForLeader(): void {
    this.#cancelWait();
    this.#cancelWait = this.#options.after(JOIN_MS, () => {
      if (this.#stream === null) this.#open(this.#feed.events);
    });
  }

  #open(events: TransportEvents): void {
    this.#cancelWait();
    this.#waiting = null;
    try {
      this.#own = this.#feed.open({ ...events, onEnd: (why) => this.#end(why, events) });
    } catch {
      this.#end("lost", events);
    }
  }

  /** The leader is live: what was before comes from the server, what comes now from the leader. */
  async #catchUp(stream: string): Promise<void> {
    this.#stream = stream;
    this.#watchLeader();
    const waiting: TabMessage[] = [];
    this.#waiting = waiting;
    const { events, catchUp } = this.#feed;
    const isOver = (): boolean => this.#isEnded || this.#waiting !== waiting;
    try {
      const { seq, epoch } = await catchUp();
      if (isOver()) return;
      this.#waiting = null;
      events.onOpen();
      for (const message of waiting) this.#take(message);
      events.onHello({ seq, epoch: epoch ?? "" });
    } catch (error) {
      if (!isOver()) this.#end(endReasonOf(error));
    }
  }

  #take(message: TabMessage): void {
    if (message.kind === "changes") this.#feed.events.onChanges(message.events);
    else if (message.kind === "message") this.#feed.events.onMessage(message.message);
  }

  #end(why: EndReason, events = this.#feed.events): void {
    if (this.#isEnded) return;
    this.close();
    events.onEnd(why);
  }
}

/** What a tab says that leads nobody: it tells nothing of whether the leader is alive. */
function isOfFollower({ kind }: TabMessage): boolean {
  return kind === "join" || kind === "ping" || kind === "send";
}

/** The names of channels have a version: what is heard there is of this form. */
function isTabMessage(message: unknown): message is TabMessage {
  return typeof message === "object" && message !== null && "kind" in message;
}

/** How a connection ends by what a pull was answered. */
export function endReasonOf(error: unknown): EndReason {
  if (!(error instanceof PylonClientError)) return "lost";
  if (error.status === 410) return "resync";
  return error.status === 401 ? "unauthorized" : "lost";
}

/** What a browser's tabs have; null elsewhere. */
export function browserTabs(): TabPlatform | null {
  const { navigator, document, BroadcastChannel } = globalThis;
  if (document === undefined || BroadcastChannel === undefined || !navigator.locks) return null;
  return {
    lock(name, onHeld) {
      const abort = new AbortController();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      navigator.locks
        .request(name, { signal: abort.signal }, () => {
          onHeld();
          return held;
        })
        // It was given up while it waited, or the page may have none: then nobody leads.
        .catch(() => undefined);
      return () => {
        abort.abort();
        release();
      };
    },
    channel(name, onMessage) {
      const channel = new BroadcastChannel(name);
      channel.addEventListener("message", ({ data }) => onMessage(data));
      return { post: (message) => channel.postMessage(message), close: () => channel.close() };
    },
  };
}
