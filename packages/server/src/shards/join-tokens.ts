import { PylonError, type ShardRole } from "@pylonsync/protocol";
import type { Identity } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { DailySecrets } from "../store/daily-secrets.ts";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { isRecord } from "../util/is-record.ts";

/** The claims of a join token. */
export interface JoinClaims {
  readonly shardId: string;
  /** The user's id. */
  readonly subscriberId: string;
  readonly role: ShardRole;
  /** The replica to which another one relays its client; never set in a client's token. */
  readonly relay?: string | undefined;
  /** The identity, whose session is checked again when the token is used. */
  readonly identity: Identity;
}

interface Payload extends Omit<JoinClaims, "identity"> {
  /** Null for Infinity, which JSON can't represent. */
  readonly identity: Omit<Identity, "expiresAt"> & { readonly expiresAt: number | null };
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** The maximum length of a token, which contains an identity with a limited number of roles. */
const MAX_TOKEN_LENGTH = 8_192;

/**
 * Short-lived tokens that admit one user to one shard. They are signed, so that any replica can
 * verify them, with a daily secret from the database.
 */
export class JoinTokens {
  readonly #secrets: DailySecrets;
  readonly #now: () => number;

  constructor(store: Store, platform: Pick<Platform, "now" | "random">) {
    this.#secrets = new DailySecrets(SYSTEM_TABLES.shardSecrets, store, platform);
    this.#now = platform.now;
  }

  /** @param forMs the lifetime in milliseconds */
  async sign({ identity, ...claims }: JoinClaims, forMs: number): Promise<string> {
    const now = this.#now();
    const day = DailySecrets.dayOf(now);
    const expiresAt = Number.isFinite(identity.expiresAt) ? identity.expiresAt : null;
    const until = Math.min(now + forMs, identity.expiresAt);
    const payload: Payload = { ...claims, identity: { ...identity, expiresAt }, until };
    const body = `${day}.${Buffer.from(JSON.stringify(payload)).toString("base64url")}`;
    return `${body}.${await this.#secrets.sign(day, body)}`;
  }

  /** @throws PylonError JOIN_TOKEN_REFUSED */
  async verify(token: string): Promise<JoinClaims> {
    const now = this.#now();
    const parts = token.length > MAX_TOKEN_LENGTH ? [] : token.split(".");
    const [day = "", text = "", signature = ""] = parts;
    const today = DailySecrets.dayOf(now);
    // The clocks of replicas may differ at midnight.
    const isCurrent = [today - 1, today, today + 1].map(String).includes(day);
    if (parts.length !== 3 || !isCurrent) throw refused();
    if (!(await this.#secrets.verify(Number(day), `${day}.${text}`, signature))) throw refused();
    const payload: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!isPayload(payload) || payload.until <= now) throw refused();
    const { identity, shardId, subscriberId, role, relay } = payload;
    const expiresAt = identity.expiresAt ?? Infinity;
    const claims = { shardId, subscriberId, role, identity: { ...identity, expiresAt } };
    return relay === undefined ? claims : { ...claims, relay };
  }

  /** Deletes secrets that are no longer needed. */
  forgetOld(): Promise<void> {
    return this.#secrets.forgetOld();
  }
}

/** Parses claims that were signed by `sign`, possibly by another version of the server. */
function isPayload(value: unknown): value is Payload {
  return (
    isRecord(value) &&
    typeof value["until"] === "number" &&
    typeof value["shardId"] === "string" &&
    typeof value["subscriberId"] === "string" &&
    (value["role"] === "player" || value["role"] === "spectator") &&
    isRecord(value["identity"]) &&
    isRecord(value["identity"]["caller"])
  );
}

function refused(): PylonError {
  return new PylonError("JOIN_TOKEN_REFUSED", "The join token is not valid, or has expired.", {
    hint: "Request a new token with POST /api/shards/ID/token.",
  });
}
