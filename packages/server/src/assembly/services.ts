import { ONCE_ANSWERS_FACTOR } from "@pylonsync/protocol";
import { createPage } from "../app/page.ts";
import { SendQueues } from "../connections/send-queues.ts";
import { DevHosts } from "../http/dev-hosts.ts";
import { Dispatcher } from "../http/dispatcher.ts";
import type { ListenerServices } from "../http/listener.ts";
import { Origins } from "../http/origins.ts";
import { RequestRecord } from "../http/request-record.ts";
import { TokenGuesses } from "../http/token-guesses.ts";
import { DevMailbox } from "../mail/dev-mailbox.ts";
import { Transfers } from "../request/transfers.ts";
import { ClientMessages } from "../rooms/client-messages.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { DocumentFeed } from "../documents/document-feed.ts";
import type { Feed } from "../sync/feed.ts";
import { SocketPushes } from "../sync/live/socket-pushes.ts";
import type { AuthParts } from "./auth.ts";
import { type Base, sharedCount } from "./base.ts";

/**
 * Creates the services that handle the ports' requests and connections, and lets the feed's clients
 * push.
 */
export function servicesOf(
  base: Base,
  auth: AuthParts,
  feed: Feed,
  rooms: Rooms,
  documents: Pick<DocumentFeed, "receive">,
): Omit<ListenerServices, "routes" | "endpoints" | "shards" | "relays" | "connections"> {
  const { app, options } = base;
  const { config, log, mailer, platform } = options;
  const peerMessages = new ClientMessages(
    (message) => rooms.store.send(message),
    (userId) =>
      app.current.manifest.peerMessages === "tenant"
        ? null
        : [...rooms.store.localRooms(userId)].filter((room) =>
            app.current.rooms.membersMaySend(room),
          ),
    platform.monotonic,
    (error) => log.error("relay failed", error),
  );
  feed.servePushes(socketPushesOf(base));
  return {
    dispatcher: dispatcherOf(base, auth),
    feed,
    platform,
    queues: new SendQueues(
      { perReader: config.sendBufferBytes, total: config.maxQueuedBytes },
      platform,
    ),
    messages: {
      receive: (subscriber, text) => {
        if (feed.receive(subscriber, text)) return;
        const answer = documents.receive(subscriber, text);
        const refusal = answer === undefined ? peerMessages.receive(subscriber, text) : answer;
        if (refusal !== null) feed.refuse(subscriber, refusal);
      },
    },
    page: createPage(() => app.current, {
      dev: config.dev
        ? {
            home: { hasMailbox: mailer instanceof DevMailbox, hasStudio: config.studio },
            problems: () => app.problems,
          }
        : null,
      onBroken: ({ message }) => log.error(message),
    }),
  };
}

/** Creates the service for pushes over sockets, which counts and logs them like requests. */
function socketPushesOf({ data, options, limiters, metrics, tracing }: Base): SocketPushes {
  const { config, log } = options;
  const record = new RequestRecord({ metrics, log, accessLog: config.accessLog });
  return new SocketPushes({
    services: data,
    limiter: limiters.address,
    observer: metrics,
    traced: (apply) => tracing.push(apply),
    record: (status, ms, address) =>
      record.add("live push", { method: "POST" }, status, ms, () => address),
    onError: (error) => log.error("push failed", error),
  });
}

function dispatcherOf(
  { options, metrics, tracing, redis, limiters }: Base,
  { authenticator }: AuthParts,
): Dispatcher {
  const { config, log, platform } = options;
  return new Dispatcher({
    dev: config.dev,
    devHosts: config.dev
      ? new DevHosts([
          ...config.devHosts,
          ...(config.publicUrl === null ? [] : [new URL(config.publicUrl).hostname]),
        ])
      : null,
    trustedHops: config.trustProxyHops,
    hstsMaxAge: config.hstsMaxAge,
    authenticator,
    origins: new Origins(config.corsOrigins, config),
    limiter: limiters.address,
    guesses: new TokenGuesses(log, sharedCount(redis, "wrong-token")),
    bodies: new Transfers(config.maxBytesInFlight, platform),
    answers: new Transfers(config.maxBytesInFlight, platform),
    onceAnswers: new Transfers(
      ONCE_ANSWERS_FACTOR * config.maxBytesInFlight,
      platform,
      "disconnect",
    ),
    log,
    metrics,
    tracing,
    platform,
    accessLog: config.accessLog,
  });
}
