import {
  offersShardProtocol,
  MAX_DOCUMENT_BYTES,
  MAX_RESULT_BYTES,
  parseJoinProtocol,
  PylonError,
  SHARD_PROTOCOL,
} from "@pylonsync/protocol";
import { shardsNotAvailable } from "../shards/routes.ts";
import { RELAY_HEADER, type ShardRelays } from "../shards/shard-relays.ts";
import { ShardSocket, type ShardSocketStart } from "../shards/shard-socket.ts";
import type { Shards } from "../shards/shards.ts";
import type { Platform } from "../platform.ts";
import type { Feed } from "../sync/feed.ts";
import type { SendQueues } from "../connections/send-queues.ts";
import { openEventStream, StreamTurns } from "../connections/sse.ts";
import {
  cursorOf,
  SyncSocket,
  type SocketMessages,
  type SocketStart,
} from "../connections/websocket.ts";
import { TopicPublisher } from "../connections/topic-publisher.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Endpoint } from "../request/endpoint.ts";
import { pathOf, urlOf } from "../request/request-url.ts";
import type { Route } from "../request/route.ts";
import { errorCode } from "../util/errors.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import type { Peer } from "./caller-identity.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** The settings of a port. */
export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** The maximum size of one WebSocket message, in bytes. */
  readonly maxFrameBytes: number;
  /** The maximum number of bytes that may wait for a slow reader. */
  readonly sendBufferBytes: number;
  /** After how many seconds of silence a socket or an event stream is pinged, from 4 to 120. */
  readonly pingSeconds: number;
  /**
   * After how many seconds of silence a connection without a socket is closed, up to 255; 0: this
   * is left to the proxy in front.
   */
  readonly idleSeconds: number;
}

/**
 * What a port serves: everything; or, besides health checks, only sockets, event streams or shards,
 * as older clients expect it.
 */
export type PortPurpose = "all" | "websocket" | "sse" | "shards";

/** The path of shards on the port that serves everything. */
const SHARD_PATH = /^\/shards(?:\/|$)/;

/** The paths that every port serves, for load balancers that check each of them. */
const ON_EVERY_PORT: ReadonlySet<string> = new Set(["/health", "/readyz"]);

/** The services that handle a port's requests. */
export interface ListenerServices {
  readonly dispatcher: Dispatcher;
  readonly feed: Feed;
  readonly connections: ConnectionLimit;
  /** Counts the bytes queued for slow readers of live connections. */
  readonly queues: SendQueues;
  /** Handles the messages of clients on their sockets. */
  readonly messages: SocketMessages;
  readonly shards: Shards;
  readonly relays: ShardRelays;
  readonly platform: Platform;
  readonly routes: readonly Route[];
  /** Returns the app's endpoints at a path without a route. */
  readonly endpoints: (path: string) => readonly Endpoint[];
  /** Responds to requests without a route with the app's page. Null: there is no page either. */
  readonly page: (request: Request, path: string) => Promise<Response | null>;
}

/** An open port. */
export type BunServer = Bun.Server<OpenSocket>;
/** The kinds of sockets. */
type OpenSocket = SyncSocket | ShardSocket;
type RoutedRequest = Request & { readonly params?: Readonly<Record<string, string>> };

/** Opens a port. @throws Error with `code` EADDRINUSE when it is in use */
export function listen(
  purpose: PortPurpose,
  options: ListenerOptions,
  services: ListenerServices,
): BunServer {
  return new Listener(purpose, options, services).open();
}

class Listener {
  readonly #purpose: PortPurpose;
  readonly #options: ListenerOptions;
  readonly #services: ListenerServices;
  #publisher: TopicPublisher | null = null;
  readonly #streams: StreamTurns;

  constructor(purpose: PortPurpose, options: ListenerOptions, services: ListenerServices) {
    this.#purpose = purpose;
    this.#options = options;
    this.#services = services;
    this.#streams = new StreamTurns(services.platform);
  }

  open(): BunServer {
    const { feed, connections, messages, queues } = this.#services;
    const { maxFrameBytes, sendBufferBytes, pingSeconds, idleSeconds } = this.#options;
    return Bun.serve<OpenSocket, string>({
      hostname: this.#options.host,
      port: this.#options.port,
      // Without `development`, Bun shares a port with other processes that share it too: the
      // requests of one app would be spread over the servers of both.
      reusePort: false,
      // Bun has one limit for all paths, and closes the connection without a response: the routes
      // have their own limits, and reject with a code. A body that no route reads is not received.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      idleTimeout: idleSeconds,
      routes: this.#routeTable(),
      fetch: (request, server) => this.#guard(request, this.#answer(request, server)),
      // The runtime's own error page shows paths and source code, and programs can't read it.
      development: false,
      error: (error) => this.#services.dispatcher.fault(bodyFailure(error), null),
      websocket: {
        maxPayloadLength: maxFrameBytes,
        // The frames of a document and requested rows do not count: see Subscriber.
        backpressureLimit: sendBufferBytes + MAX_RESULT_BYTES + 2 * MAX_DOCUMENT_BYTES + 64 * 1024,
        idleTimeout: pingSeconds + pongSeconds(pingSeconds),
        sendPings: true,
        perMessageDeflate: false,
        open: (socket) => socket.data.opened(socket, feed, queues),
        message: (socket, message) => socket.data.received(socket, message, messages),
        ping: (socket, data) => void socket.data.counted(socket, data.length),
        pong: (socket, data) => void socket.data.counted(socket, data.length),
        drain: (socket) => socket.data.drained(),
        close: (socket) => {
          socket.data.closed(feed);
          connections.release(socket.data.address);
        },
      },
    });
  }

  /** One handler for each path; the dispatcher selects the method. */
  #routeTable(): Record<string, (request: RoutedRequest, server: BunServer) => Promise<Response>> {
    const byPath = new Map<string, Map<string, Route>>();
    for (const route of this.#services.routes) {
      if (this.#purpose !== "all" && !ON_EVERY_PORT.has(route.path)) continue;
      const methods = byPath.get(route.path) ?? new Map<string, Route>();
      byPath.set(route.path, methods.set(route.method, route));
    }
    const { dispatcher } = this.#services;
    return Object.fromEntries(
      [...byPath].map(([path, methods]) => [
        path,
        (request: RoutedRequest, server: BunServer) =>
          this.#guard(
            request,
            dispatcher.dispatch(methods, request, request.params ?? {}, peerOf(request, server)),
          ),
      ]),
    );
  }

  /** Any failure outside of a route gets the same response as every other internal error. */
  #guard<T extends Response | undefined>(
    request: Request,
    answer: Promise<T>,
  ): Promise<T | Response> {
    return answer.catch((error: unknown) => this.#services.dispatcher.fault(error, request));
  }

  async #answer(request: Request, server: BunServer): Promise<Response | undefined> {
    const path = pathOf(request.url);
    const peer = peerOf(request, server);
    const isUpgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    const relay = request.headers.get(RELAY_HEADER);
    if (relay !== null && SHARD_PATH.test(path))
      return this.#answerReplica(request, server, relay, isUpgrade);
    if (this.#purpose === "shards" || (this.#purpose === "all" && SHARD_PATH.test(path)))
      return isUpgrade
        ? this.#upgradeToShard(request, server, peer)
        : this.#refuseShards(request, peer, () => noUpgrade());
    if (this.#purpose !== "sse" && isUpgrade) return this.#upgrade(request, server, peer);
    const { dispatcher } = this.#services;
    const endpoints = this.#purpose === "all" ? this.#services.endpoints(path) : [];
    if (endpoints.length > 0) return dispatcher.serveEndpoint(endpoints, request, peer);
    if (request.method === "OPTIONS") return dispatcher.dispatch(new Map(), request, {}, peer);
    if (this.#purpose === "sse" || path === "/events") return this.#openStream(request, peer);
    if (this.#purpose === "websocket" || path === "/ws")
      return dispatcher.serve("socket", request, peer, () => Promise.reject(noUpgrade()));
    const find = async (): Promise<Response | null> =>
      this.#purpose === "all" ? this.#services.page(request, path) : null;
    return dispatcher.servePage(
      request,
      peer,
      find,
      () =>
        new PylonError("NOT_FOUND", `There is nothing at ${path.slice(0, 200)}.`, {
          hint: "The API is under /api; see docs/http.md.",
        }),
    );
  }

  /**
   * Responds to another replica: whether this is the right replica, and accepts clients that it
   * forwards and has already counted.
   */
  async #answerReplica(
    request: Request,
    server: BunServer,
    replica: string,
    isUpgrade: boolean,
  ): Promise<Response | undefined> {
    const { shards, relays, platform } = this.#services;
    if (!shards.isReplica(replica)) return new Response(null, { status: 409 });
    if (!isUpgrade) return new Response(null, { status: 204 });
    const header = request.headers.get("sec-websocket-protocol");
    const join = parseJoinProtocol(header);
    const claims = await shards.tokens.verify(join?.token ?? "").catch(() => null);
    if (join === null || claims?.relay !== replica) return new Response(null, { status: 401 });
    const takesDeltas = offersShardProtocol(header);
    const rate = urlOf(request).searchParams.get("rate");
    const start = { ...claims, takesDeltas, rate, joinToken: null, relayed: claims };
    const data = new ShardSocket(start, "", { shards, relays, platform });
    const protocol = takesDeltas ? SHARD_PROTOCOL : join.protocol;
    const headers = { "Sec-WebSocket-Protocol": protocol };
    if (server.upgrade(request, { data, headers })) return undefined;
    return new Response(null, { status: 400 });
  }

  #refuseShards(request: Request, peer: Peer, why: () => PylonError): Promise<Response> {
    const { dispatcher, shards } = this.#services;
    if (request.method === "OPTIONS") return dispatcher.dispatch(new Map(), request, {}, peer);
    const error = shards.hasAny ? why() : shardsNotAvailable();
    return dispatcher.serve("shards", request, peer, () => Promise.reject(error));
  }

  async #upgradeToShard(
    request: Request,
    server: BunServer,
    peer: Peer,
  ): Promise<Response | undefined> {
    const { dispatcher, connections, platform, shards, relays } = this.#services;
    if (!shards.hasAny) return this.#refuseShards(request, peer, shardsNotAvailable);
    const address = dispatcher.callers.addressOf(request, peer);
    let start: ShardSocketStart & { readonly protocol: string | undefined };
    try {
      start = await dispatcher.sockets.ofShard(request, () => address);
      connections.take(address);
    } catch (error) {
      return dispatcher.serve("shards", request, peer, () => Promise.reject(error));
    }
    const data = new ShardSocket(start, address, { shards, relays, platform });
    return this.#accept(request, server, peer, data, start.protocol);
  }

  /** Upgrades a request, whose address was counted, to a socket. */
  async #accept(
    request: Request,
    server: BunServer,
    peer: Peer,
    data: OpenSocket,
    protocol: string | undefined,
  ): Promise<Response | undefined> {
    const upgraded = server.upgrade(request, {
      data,
      ...(protocol === undefined ? {} : { headers: { "Sec-WebSocket-Protocol": protocol } }),
    });
    if (upgraded) return undefined;
    const { dispatcher, connections } = this.#services;
    connections.release(data.address);
    return dispatcher.serve("socket", request, peer, () =>
      Promise.reject(new PylonError("INVALID_DATA", "Not a WebSocket handshake.")),
    );
  }

  /** Any path is accepted: older clients use the root. */
  async #upgrade(request: Request, server: BunServer, peer: Peer): Promise<Response | undefined> {
    const { dispatcher, connections, platform } = this.#services;
    const address = dispatcher.callers.addressOf(request, peer);
    let start: SocketStart & { readonly protocol: string | undefined };
    try {
      start = await dispatcher.sockets.ofReplica(request, () => address);
      connections.take(address);
    } catch (error) {
      return dispatcher.serve("socket", request, peer, () => Promise.reject(error));
    }
    // Only older clients use the second port. They may connect before the user has signed in, and
    // read the token again when the socket is closed.
    const data = new SyncSocket(
      { ...start, needsToken: this.#purpose === "websocket" },
      address,
      this.#publisherOf(server),
      platform,
    );
    return this.#accept(request, server, peer, data, start.protocol);
  }

  /** Returns the publisher that all sockets of this port share. */
  #publisherOf(server: BunServer): TopicPublisher {
    this.#publisher ??= new TopicPublisher(
      (topic, text) => void server.publish(topic, text),
      this.#services.platform.soon,
    );
    return this.#publisher;
  }

  #openStream(request: Request, peer: Peer): Promise<Response> {
    const { dispatcher, connections, feed, platform, queues } = this.#services;
    return dispatcher.serve("events", request, peer, async (identify) => {
      if (request.method !== "GET")
        throw new PylonError(
          "METHOD_NOT_ALLOWED",
          `Method ${request.method} is not allowed here.`,
          {
            hint: "Allowed: GET.",
          },
        );
      dispatcher.callers.checkOrigin(request);
      const cursor = cursorOf(urlOf(request).searchParams);
      const identity = await identify();
      checkKeyScope(identity.caller, "read");
      const address = dispatcher.callers.addressOf(request, peer);
      connections.take(address);
      return openEventStream({ identity, address, cursor }, feed, {
        queues,
        pingMs: this.#options.pingSeconds * 1000,
        onEnd: () => connections.release(address),
        platform,
        turns: this.#streams,
      });
    });
  }
}

function noUpgrade(): PylonError {
  return new PylonError(
    "UPGRADE_REQUIRED",
    "This path requires a WebSocket, but the request is not a WebSocket handshake.",
    {
      hint:
        "Connect with a WebSocket client; a proxy in front must forward the headers " +
        "Upgrade and Connection.",
    },
  );
}

/** Returns how long Bun waits for a pong: it sends the ping that long before its idle timeout. */
function pongSeconds(pingSeconds: number): number {
  return pingSeconds < 8 ? 4 : pingSeconds < 16 ? 8 : 16;
}

/**
 * Returns the error for a body that the runtime could not send after the route had responded: for a
 * file that was deleted in the meantime, the caller is told so.
 */
function bodyFailure(error: Error): Error {
  return errorCode(error) === "ENOENT"
    ? new PylonError("NOT_FOUND", "The file was deleted while it was requested.")
    : error;
}

function peerOf(request: Request, server: BunServer): Peer {
  return () => server.requestIP(request)?.address ?? "";
}
