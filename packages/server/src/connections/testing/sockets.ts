import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import { systemPlatform } from "../../platform.ts";
import { Subscriber, type Outlet } from "../subscriber.ts";
import { TopicPublisher } from "../topic-publisher.ts";
import { queuesOf } from "./queues-of.ts";

/** A listener's sockets, with a runtime that publishes to those that are in a topic. */
export class Sockets {
  readonly #topics = new Map<string, Set<string[]>>();
  published = 0;
  /** The number of writes to single sockets. */
  written = 0;
  /** What is done in the next turn. */
  readonly #soon: (() => void)[] = [];
  readonly publisher = new TopicPublisher(
    (topic, text) => {
      this.published += 1;
      for (const heard of this.#topics.get(topic) ?? []) heard.push(text);
    },
    (work) => this.#soon.push(work),
  );

  nextTurn(): void {
    for (const work of this.#soon.splice(0)) work();
  }

  /** @param options.backlog the bytes that wait for the reader after a write */
  open(options: { readonly backlog?: () => number } = {}): {
    readonly subscriber: Subscriber;
    readonly heard: string[];
  } {
    const heard: string[] = [];
    const { backlog = () => 0 } = options;
    const outlet: Outlet = {
      transport: "websocket",
      write: (text) => this.#write(heard, [text], backlog),
      writeTogether: (texts) => this.#write(heard, texts, backlog),
      queued: backlog,
      drained: () => Promise.withResolvers<void>().promise,
      close: () => undefined,
      terminate: () => undefined,
      topics: {
        publisher: this.publisher,
        enter: (topic) =>
          void this.#topics.set(topic, (this.#topics.get(topic) ?? new Set()).add(heard)),
        leave: (topic) => void this.#topics.get(topic)?.delete(heard),
      },
    };
    return {
      subscriber: new Subscriber(ANONYMOUS_IDENTITY, outlet, queuesOf(1000), systemPlatform),
      heard,
    };
  }

  #write(heard: string[], texts: readonly string[], backlog: () => number): number {
    this.written += 1;
    heard.push(...texts);
    return backlog();
  }
}

/** A stream, which is written to at once. */
export function streamSubscriber(heard: string[]): Subscriber {
  return new Subscriber(
    ANONYMOUS_IDENTITY,
    {
      transport: "sse",
      topics: null,
      write: (text) => (heard.push(text), 0),
      queued: () => 0,
      drained: () => Promise.resolve(),
      close: () => undefined,
      terminate: () => undefined,
    },
    queuesOf(1000),
    systemPlatform,
  );
}
