import { MAX_MCP_CLIENTS } from "@pylonsync/protocol";
import type { OAuthClientMetadata } from "@modelcontextprotocol/sdk/shared/auth.js";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, Transaction } from "../../store/store.ts";
import { transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { newToken } from "../security/secrets.ts";
import { checkRedirectUri, matchesRedirectUri, OAuthError } from "./protocol.ts";

const CLIENTS = SYSTEM_TABLES.mcpClients;
const DAY_MS = 24 * 60 * 60_000;
/** The lifetime of a client that no user has given access to, in milliseconds. */
const UNUSED_MS = DAY_MS;
/** The time until a client is deleted after it last received a token, in milliseconds. */
const IDLE_MS = 90 * DAY_MS;
/** How many clients are looked at to find one that was never used. */
const CHECKED_CLIENTS = 100;
const MAX_REDIRECT_URIS = 10;
const MAX_NAME = 100;

/** A client that registered itself. */
export type McpClient = RowOf<typeof CLIENTS>;

/** Clients that registered themselves (RFC 7591). They are public clients: none has a secret. */
export class McpClients {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #max: number;

  /** @param max the maximum number of clients */
  constructor(store: Store, platform: Platform, max = MAX_MCP_CLIENTS) {
    this.#max = max;
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * @param metadata the client's description of itself, which is not verified
   * @throws OAuthError invalid_client_metadata, invalid_redirect_uri, temporarily_unavailable
   */
  async register(metadata: unknown): Promise<McpClient> {
    const { redirect_uris: redirectUris, client_name: name = "" } = await parsed(metadata);
    if (redirectUris.length === 0 || redirectUris.length > MAX_REDIRECT_URIS)
      throw new OAuthError(
        "invalid_redirect_uri",
        `Register 1 to ${MAX_REDIRECT_URIS} redirect URIs.`,
      );
    for (const uri of redirectUris) checkRedirectUri(uri);
    const now = this.#platform.now();
    const client: McpClient = {
      id: newToken(this.#platform),
      name: shownName(name),
      redirectUris,
      createdAt: now,
      expiresAt: now + UNUSED_MS,
    };
    await transactById(this.#store, async (tx) => {
      if ((await CLIENTS.count(tx)) >= this.#max) await this.#makeRoom(tx);
      await CLIENTS.insert(tx, client);
    });
    return client;
  }

  /**
   * Deletes the oldest client that no user has given access to: many networks together could
   * register so many that nobody else could register one.
   *
   * @throws OAuthError temporarily_unavailable if users have given access to all
   */
  async #makeRoom(tx: Transaction): Promise<void> {
    const oldest = await CLIENTS.select(tx, {
      where: CLIENTS.isUpTo("expiresAt", this.#platform.now() + UNUSED_MS),
      order: [{ field: "expiresAt", direction: "asc" }],
      limit: CHECKED_CLIENTS,
    });
    const unused = oldest.find(({ createdAt, expiresAt }) => expiresAt === createdAt + UNUSED_MS);
    if (unused === undefined || !(await CLIENTS.delete(tx, unused.id)))
      throw new OAuthError("temporarily_unavailable", "Too many clients are registered.");
  }

  /** @throws OAuthError invalid_client if the client is unknown or has expired */
  async get(clientId: string, reader: Reader = this.#store): Promise<McpClient> {
    const client = await CLIENTS.get(reader, clientId);
    if (client !== null && client.expiresAt > this.#platform.now()) return client;
    throw new OAuthError("invalid_client", "This client is not registered. Register it again.");
  }

  /** Extends the lifetime of a client that gets a token. @returns whether it is registered */
  used(tx: Transaction, clientId: string): Promise<boolean> {
    return CLIENTS.update(tx, clientId, { expiresAt: this.#platform.now() + IDLE_MS });
  }

  /** Deletes expired clients. @returns the number of deleted clients */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      CLIENTS.deleteWhere(tx, CLIENTS.isUpTo("expiresAt", this.#platform.now())),
    );
  }
}

/** @throws OAuthError invalid_request when the redirect URI is not one of the client's */
export function requireRedirectUri({ redirectUris }: McpClient, requested: string): void {
  if (redirectUris.some((registered) => matchesRedirectUri(requested, registered))) return;
  throw new OAuthError("invalid_request", "This redirect URI is not registered for the client.");
}

async function parsed(metadata: unknown): Promise<OAuthClientMetadata> {
  const { OAuthClientMetadataSchema } = await import("@modelcontextprotocol/sdk/shared/auth.js");
  const { data, error } = OAuthClientMetadataSchema.safeParse(metadata);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw new OAuthError(
    issue?.path[0] === "redirect_uris" ? "invalid_redirect_uri" : "invalid_client_metadata",
    `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`.slice(0, 300),
  );
}

/** Replaces control and formatting characters, with which a name could hide the text next to it. */
function shownName(name: string): string {
  const plain = name.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return plain.slice(0, MAX_NAME).toWellFormed() || "A client without a name";
}
