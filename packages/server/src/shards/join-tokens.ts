import { PylonError, type ShardRole } from "@pylonsync/protocol";
import type { Identity } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { DailySecrets } from "../store/daily-secrets.ts";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { isRecord } from "../util/is-record.ts";

/** What a join token opens, and for whom. */
export interface JoinClaims {
  readonly shardId: string;
  /** Of the user. */
  readonly subscriberId: string;
  readonly role: ShardRole;
  /** The replica that another one relays its client to; in no token that a client is given. */
  readonly relay?: string | undefined;
  /** Whose session is looked up again when the token is used. */
  readonly identity: Identity;
}

interface Payload extends Omit<JoinClaims, "identity"> {
  /** JSON has no Infinity. */
  readonly identity: Omit<Identity, "expiresAt"> & { readonly expiresAt: number | null };
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** A token has everything of an identity in it, whose roles are bounded. */
const MAX_TOKEN_LENGTH = 8_192;

/**
 * Tokens that let one user into one shard, for a short time: signed by the server, so that each
 * replica knows them. The secret is in the database, a new one each day.
 */
export class JoinTokens {
  readonly #secrets: DailySecrets;
  readonly #now: () => number;

  constructor(store: Store, platform: Pick<Platform, "now" | "random">) {
    this.#secrets = new DailySecrets(SYSTEM_TABLES.shardSecrets, store, platform);
    this.#now = platform.now;
  }

  /** @param forMs how long it is valid */
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
    // The clocks of replicas may be a moment apart at midnight.
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

  /** Forgets secrets that sign nothing any longer. */
  forgetOld(): Promise<void> {
    return this.#secrets.forgetOld();
  }
}

/** What was signed is what `sign` made, of this version or of another. */
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
