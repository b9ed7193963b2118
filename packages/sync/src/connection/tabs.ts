import type { ChangeEvent } from "@pylonsync/protocol";
import {
  endReasonOf,
  type Cursor,
  type EndReason,
  type LiveConnection,
  type PeerMessage,
  type TextEvents,
  type TransportEvents,
} from "./transport/transport.ts";
import type { TabChannel, TabPlatform } from "../platform/browser-tabs.ts";

/** How long a tab waits for the leader, in milliseconds, before it connects itself. */
const JOIN_MS = 1_000;
/** How long it waits for a leader that loads the code with which it serves others. */
const LOADING_MS = 4_000;
/**
 * The time without messages, in milliseconds, after which a leader is pinged: phones suspend
 * background tabs, which keep their locks.
 */
const SILENT_MS = 15_000;

/**
 * The messages between tabs. The leader responds to `ping` with `pong`; `join` requests the
 * leader's `hello`, which each new leader also sends, after `loading` if it must load code first;
 * `send` is forwarded to the server by the leader's socket. With single queries, `ask` is a request
 * to the leader, and `tell` its response. All others are messages of the server. A `stream` is one
 * connection of one leader: changes of a different stream than the one that a tab has caught up
 * with may have a gap, and are ignored.
 */
type TabMessage =
  | { readonly kind: "join" | "ping" | "pong" | "loading" }
  | { readonly kind: "send"; readonly text: string }
  | { readonly kind: "hello"; readonly stream: string; readonly hello: StreamHello }
  | { readonly kind: "ask"; readonly tab: string; readonly stream: string; readonly text: string }
  | { readonly kind: "tell"; readonly tab: string; readonly text: string }
  | {
      readonly kind: "changes";
      readonly stream: string;
      readonly events: readonly ChangeEvent[];
    }
  | { readonly kind: "message"; readonly message: PeerMessage }
  | { readonly kind: "end"; readonly why: EndReason };

type StreamHello = Parameters<TransportEvents["onHello"]>[0];

/** With single queries: how a tab sends requests to the leader, and how the leader serves them. */
export interface LiveTabFeed {
  /** Sends this tab's requests over a connection. */
  readonly connect: (open: (events: TextEvents) => LiveConnection) => LiveConnection;
  readonly server: TabServer;
  /** Another tab leads: only that tab stores the rows on disk. */
  readonly onFollow: () => void;
}

/** Serves other tabs from the rows of this one. */
export interface TabServer {
  /** Calls `run` once it can serve them: before that, the tab does not offer it. */
  whenReady(run: () => void): void;
  /** @param tell sends a message to the tab */
  receive(tab: string, text: string, tell: (text: string) => void): void;
  /** The tab was closed, or starts again. */
  left(tab: string): void;
}

/** The sources of events of a tab in a group. */
export interface TabFeed {
  /** Opens the transport that a tab without a leader uses. @throws Error if it is unavailable */
  readonly open: (events: TransportEvents) => LiveConnection;
  /**
   * Loads and applies the changes since the replica's cursor.
   *
   * @returns the replica's new position
   * @throws PylonClientError
   */
  readonly catchUp: () => Promise<Cursor>;
  readonly events: TransportEvents;
  /** Null for a full replica. */
  readonly live: LiveTabFeed | null;
}

/**
 * The tabs of a browser that show the same user's replica of a server. One tab leads: only the
 * leader has a live connection, and forwards what it receives. The others load once what they have
 * missed, then listen to the leader. When the leader is closed, the next tab replaces it; when it
 * does not respond, a tab opens its own connection.
 */
export class TabGroup {
  readonly name: string;
  readonly #tabId: string;
  readonly #after: (delayMs: number, run: () => void) => () => void;
  readonly #channel: TabChannel;
  readonly #tabs: TabPlatform;
  readonly #giveUp: readonly (() => void)[];
  /**
   * The tabs that send requests to this one, with their stream, and the function that ends their
   * watch.
   */
  readonly #followers = new Map<string, { readonly stream: string; readonly forget: () => void }>();
  #isLeader = false;
  /** Whether its own lock is held: without it the leader would consider the tab closed. */
  #isPresent = false;
  /** This tab's connection while it leads; null while it is not live. */
  #stream: { readonly name: string; readonly hello: StreamHello } | null = null;
  #streams = 0;
  #feed: SharedFeed | null = null;

  /** @param tabId identifies this tab */
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
      if (isTabMessage(message)) this.#onMessage(message);
    });
    this.#tabs = tabs;
    this.#giveUp = [
      // The leader uses this lock to detect that the tab is open.
      tabs.lock(`${name}:${tabId}`, () => {
        this.#isPresent = true;
        if (!this.#isLeader) this.#feed?.join();
      }),
      tabs.lock(name, () => {
        this.#isLeader = true;
        this.#feed?.lead();
      }),
    ];
  }

  /** Opens this tab's live connection, through the leader if there is one. */
  open(feed: TabFeed): LiveConnection {
    const shared = new SharedFeed(feed, {
      leading: (events) => this.#leading(events),
      post: (message) => this.#channel.post(message),
      after: this.#after,
      tabId: this.#tabId,
      onClose: () => {
        if (this.#feed === shared) this.#feed = null;
        this.#stream = null;
      },
    });
    this.#feed = shared;
    if (this.#isLeader) shared.lead();
    else {
      shared.waitForLeader();
      if (this.#isPresent) shared.join();
    }
    return shared;
  }

  /** Gives up the lead, and stops listening. */
  leave(): void {
    for (const giveUp of this.#giveUp) giveUp();
    this.#releaseFollowers();
    this.#channel.close();
  }

  /** The events of the leader's own connection, forwarded to the other tabs. */
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
        this.#stream = { name: stream, hello };
        this.#offer();
      },
      onMessage: (message) => {
        post({ kind: "message", message });
        events.onMessage(message);
      },
      onEnd: (why) => {
        this.#stream = null;
        this.#releaseFollowers();
        post({ kind: "end", why });
        events.onEnd(why);
      },
    };
  }

  /** Offers this tab's connection to the others, once it can serve them. */
  #offer(): void {
    const server = this.#feed?.server ?? null;
    if (server === null) return this.#sayHello();
    let isReady = false;
    server.whenReady(() => {
      isReady = true;
      this.#sayHello();
    });
    if (!isReady && this.#stream !== null)
      this.#channel.post({ kind: "loading" } satisfies TabMessage);
  }

  #sayHello(): void {
    if (this.#stream === null) return;
    const { name: stream, hello } = this.#stream;
    this.#channel.post({ kind: "hello", stream, hello } satisfies TabMessage);
  }

  /** Handles a request of another tab that has received hello. */
  #answer({ tab, stream, text }: Extract<TabMessage, { readonly kind: "ask" }>): void {
    const server = this.#feed?.server ?? null;
    if (server === null || stream !== this.#stream?.name) return;
    if (this.#followers.get(tab)?.stream !== stream) {
      this.#followers.get(tab)?.forget();
      // Held by the tab for as long as it lives.
      const release = this.#tabs.lock(`${this.name}:${tab}`, () => forget());
      const forget = (): void => {
        this.#followers.delete(tab);
        release();
        server.left(tab);
      };
      this.#followers.set(tab, { stream, forget });
    }
    server.receive(tab, text, (response) =>
      this.#channel.post({ kind: "tell", tab, text: response } satisfies TabMessage),
    );
  }

  #releaseFollowers(): void {
    for (const { forget } of [...this.#followers.values()]) forget();
  }

  #onMessage(message: TabMessage): void {
    if (!this.#isLeader) {
      if (this.#isPresent) this.#feed?.receive(message);
    } else if (message.kind === "join") this.#offer();
    else if (message.kind === "ping" && this.#stream !== null)
      this.#channel.post({ kind: "pong" } satisfies TabMessage);
    else if (message.kind === "send") this.#feed?.send(message.text);
    else if (message.kind === "ask") this.#answer(message);
  }
}

interface SharedOptions {
  readonly leading: (events: TransportEvents) => TransportEvents;
  readonly post: (message: TabMessage) => void;
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly tabId: string;
  readonly onClose: () => void;
}

/** The live connection of one tab: through another tab, or its own. */
class SharedFeed implements LiveConnection {
  readonly #feed: TabFeed;
  readonly #options: SharedOptions;
  /** This tab's own connection; null while it listens to the leader. */
  #own: LiveConnection | null = null;
  /** The stream that it listens to. */
  #stream: string | null = null;
  /** The link for requests to the leader, with single queries. */
  #link: LiveConnection | null = null;
  #onText: (text: string) => void = () => undefined;
  /** Messages of the leader during the catch-up; null at other times. */
  #waiting: TabMessage[] | null = null;
  #cancelWait: () => void = () => undefined;
  #isEnded = false;

  constructor(feed: TabFeed, options: SharedOptions) {
    this.#feed = feed;
    this.#options = options;
  }

  /** Serves other tabs while this one leads. */
  get server(): TabServer | null {
    return this.#feed.live?.server ?? null;
  }

  /** Opens a connection whose events are forwarded to all tabs. */
  lead(): void {
    if (this.#isEnded) return;
    this.#own?.close();
    this.#open(this.#options.leading(this.#feed.events));
  }

  /** Requests the leader's hello. */
  join(): void {
    this.#options.post({ kind: "join" });
  }

  /** Opens its own connection if the leader does not say hello within this time. */
  waitForLeader(withinMs = JOIN_MS): void {
    this.#cancelWait();
    this.#cancelWait = this.#options.after(withinMs, () => {
      if (this.#stream === null) this.#open(this.#feed.events);
    });
  }

  receive(message: TabMessage): void {
    if (this.#isEnded || this.#own !== null || isOfFollower(message)) return;
    if (this.#stream !== null) this.#watchLeader();
    else if (message.kind === "loading") this.waitForLeader(LOADING_MS);
    if (message.kind === "hello") {
      if (message.stream === this.#stream) return;
      if (this.#feed.live === null) void this.#catchUp(message.stream);
      else this.#followLeader(message.stream, message.hello, this.#feed.live);
    } else if (message.kind === "tell") {
      if (message.tab === this.#options.tabId) this.#onText(message.text);
    } else if (message.kind === "end") {
      if (this.#stream !== null) this.#end(message.why);
    } else if (message.kind === "changes" && message.stream !== this.#stream) return;
    else if (this.#waiting !== null) this.#waiting.push(message);
    else if (this.#stream !== null) this.#take(message);
  }

  send(text: string): void {
    const connection = this.#own ?? this.#link;
    if (connection === null) this.#options.post({ kind: "send", text });
    else connection.send?.(text);
  }

  check(withinMs: number): void {
    if (this.#own !== null) this.#own.check?.(withinMs);
    else this.#pingLeader(Math.min(withinMs, JOIN_MS));
  }

  close(): void {
    this.#isEnded = true;
    this.#cancelWait();
    this.#own?.close();
    this.#link?.close();
    this.#options.onClose();
  }

  /** The leader is live: sends this tab's requests to it. */
  #followLeader(stream: string, hello: StreamHello, live: LiveTabFeed): void {
    this.#link?.close();
    this.#stream = stream;
    this.#watchLeader();
    live.onFollow();
    const { post, tabId } = this.#options;
    this.#link = live.connect(({ onText }) => {
      this.#onText = onText;
      return {
        close: () => (this.#onText = () => undefined),
        send: (text) => post({ kind: "ask", tab: tabId, stream, text }),
      };
    });
    this.#feed.events.onOpen();
    this.#onText(JSON.stringify({ type: "hello", ...hello }));
  }

  #watchLeader(): void {
    this.#cancelWait();
    this.#cancelWait = this.#options.after(SILENT_MS, () => this.#pingLeader(JOIN_MS));
  }

  /** Opens its own connection, from its own cursor, if the leader does not respond. */
  #pingLeader(withinMs: number): void {
    this.#options.post({ kind: "ping" });
    this.#cancelWait();
    this.#cancelWait = this.#options.after(withinMs, () => this.#open(this.#feed.events));
  }

  #open(events: TransportEvents): void {
    this.#cancelWait();
    this.#waiting = null;
    this.#link?.close();
    this.#link = null;
    try {
      this.#own = this.#feed.open({ ...events, onEnd: (why) => this.#end(why, events) });
    } catch {
      this.#end("lost", events);
    }
  }

  /**
   * The leader is live: loads the past from the server, and receives the future from the leader.
   */
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

/** Whether the message comes from a follower, and so is not a sign of life of the leader. */
function isOfFollower({ kind }: TabMessage): boolean {
  return kind === "join" || kind === "ping" || kind === "send" || kind === "ask";
}

/** The names of channels contain a version, so their messages have this form. */
function isTabMessage(message: unknown): message is TabMessage {
  return typeof message === "object" && message !== null && "kind" in message;
}
