import {
  LIVE_PROTOCOL,
  offersLiveProtocol,
  offersShardProtocol,
  parseBearerProtocol,
  parseJoinProtocol,
  SHARD_PROTOCOL,
} from "@pylonsync/protocol";
import { cursorOf, type SocketStart } from "../connections/websocket.ts";
import type { Identity } from "../identity/identity.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import { bearerToken } from "../request/bearer.ts";
import { networkOf } from "../util/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { urlOf } from "../request/request-url.ts";
import type { ShardSocketStart } from "../shards/shard-socket.ts";
import type { CallerIdentity, Peer } from "./caller-identity.ts";
import type { DevHosts } from "./dev-hosts.ts";

/** The subprotocol in the response to a handshake. */
interface Answered {
  readonly protocol: string | undefined;
}

/** Reads WebSocket handshakes: the caller and what the socket is for. */
export class SocketStarts {
  readonly #callers: CallerIdentity;
  readonly #options: { readonly devHosts: DevHosts | null; readonly limiter: RateLimiter };

  /** @param options.devHosts null outside of dev mode */
  constructor(
    callers: CallerIdentity,
    options: { readonly devHosts: DevHosts | null; readonly limiter: RateLimiter },
  ) {
    this.#callers = callers;
    this.#options = options;
  }

  /**
   * Returns the caller and the replica's position. Bad tokens are not rejected here: browsers can't
   * read a rejected handshake, so the socket is opened and then closed with a code.
   *
   * @throws PylonError HOST_REJECTED, ORIGIN_REJECTED, RATE_LIMITED, INVALID_QUERY
   */
  async ofReplica(request: Request, address: Peer): Promise<SocketStart & Answered> {
    await this.#check(request, address);
    const header = request.headers.get("sec-websocket-protocol");
    const cursor = cursorOf(urlOf(request).searchParams);
    const { identity, protocol } = await this.#identify(request, header, address);
    const isLive = offersLiveProtocol(header);
    return {
      identity,
      cursor,
      version: isLive ? 2 : 1,
      protocol: isLive ? LIVE_PROTOCOL : protocol,
    };
  }

  /**
   * Returns the caller and the shard of a socket; otherwise like `ofReplica`.
   *
   * @throws PylonError HOST_REJECTED, ORIGIN_REJECTED, RATE_LIMITED, INSUFFICIENT_SCOPE
   */
  async ofShard(request: Request, address: Peer): Promise<ShardSocketStart & Answered> {
    await this.#check(request, address);
    const header = request.headers.get("sec-websocket-protocol");
    const join = parseJoinProtocol(header);
    const { identity, protocol } =
      join === null
        ? await this.#identify(request, header, address)
        : { identity: null, protocol: join.protocol };
    const { searchParams } = urlOf(request);
    const takesDeltas = offersShardProtocol(header);
    return {
      identity,
      joinToken: join?.token ?? null,
      role: searchParams.get("role") === "spectator" ? "spectator" : "player",
      shardId: searchParams.get("shard"),
      subscriberId: searchParams.get("sid") ?? "anon",
      rate: searchParams.get("rate"),
      takesDeltas,
      protocol: takesDeltas ? SHARD_PROTOCOL : protocol,
    };
  }

  /** @throws PylonError HOST_REJECTED, ORIGIN_REJECTED, RATE_LIMITED */
  async #check(request: Request, address: Peer): Promise<void> {
    const { devHosts, limiter } = this.#options;
    devHosts?.check(request.headers.get("host"));
    this.#callers.checkOrigin(request);
    await limiter.count(() => networkOf(address()));
  }

  /** @param header the offered subprotocols, one of which may contain the token */
  async #identify(
    request: Request,
    header: string | null,
    address: Peer,
  ): Promise<{ readonly identity: Identity | null } & Answered> {
    const offered = parseBearerProtocol(header);
    const token = bearerToken(request.headers) ?? offered?.token ?? null;
    const isBroken = token === null && header?.includes("bearer.") === true;
    const identity = isBroken ? null : await this.#callers.identifyOrNull(request, token, address);
    if (identity !== null) checkKeyScope(identity.caller, "read");
    return { identity, protocol: offered?.protocol };
  }
}
