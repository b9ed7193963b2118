import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { RequestContext } from "../../request/context.ts";
import type { Store } from "../../store/store.ts";
import { isoTime, transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";

const AUDIT = SYSTEM_TABLES.audit;
const KEPT_MS = 90 * 24 * 60 * 60_000;

/** One event of an account. */
export interface AuditEntry {
  readonly id: string;
  readonly event: string;
  readonly user_id: string | null;
  readonly tenant_id: string | null;
  readonly address: string;
  readonly device: string;
  readonly detail: Readonly<Record<string, string>>;
  readonly at: string;
}

/** The log of account events: sign-ins, with their origin, and changes. Retained for 90 days. */
export class AuditLog {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
  }

  /**
   * @param context the request that caused the event; null for the server itself
   * @param event such as `sign-in` or `password.changed`
   * @param options.detail never a secret
   */
  async record(
    context: RequestContext | null,
    event: string,
    options: {
      readonly userId?: string | null;
      readonly tenantId?: string | null;
      readonly detail?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<void> {
    const {
      userId = context?.caller.userId ?? null,
      tenantId = context?.caller.tenantId ?? null,
      detail = {},
    } = options;
    await transactById(this.#store, (tx) =>
      AUDIT.insert(tx, {
        id: this.#newId(),
        event,
        userId,
        tenantId,
        address: context?.address ?? "",
        device: deviceOf(context),
        detail,
        at: this.#platform.now(),
      }),
    );
  }

  /**
   * Runs `take`, which consumes a code, and records a wrong code.
   *
   * @param whose returns the id of the user that the code is for, or null if there is none
   * @throws what `take` throws
   */
  async codeTry<T>(
    context: RequestContext,
    method: string,
    whose: () => Promise<string | null>,
    take: () => Promise<T>,
  ): Promise<T> {
    try {
      return await take();
    } catch (error) {
      if (error instanceof PylonError && error.code === "INVALID_CODE")
        await this.record(context, "code.refused", { userId: await whose(), detail: { method } });
      throw error;
    }
  }

  /** Returns the newest entries of a user or a tenant. @param limit the maximum number */
  async list(
    of: { readonly userId: string } | { readonly tenantId: string } | "all",
    limit: number,
  ): Promise<AuditEntry[]> {
    const where =
      of === "all"
        ? undefined
        : "userId" in of
          ? AUDIT.is("userId", of.userId)
          : AUDIT.is("tenantId", of.tenantId);
    const rows = await AUDIT.select(this.#store, {
      where,
      order: [{ field: "id", direction: "desc" }],
      limit,
    });
    return rows.map((row) => ({
      id: row.id,
      event: row.event,
      user_id: row.userId,
      tenant_id: row.tenantId,
      address: row.address,
      device: row.device,
      detail: row.detail,
      at: isoTime(row.at),
    }));
  }

  /** Deletes entries that are older than 90 days. @returns the number of deleted entries */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      AUDIT.deleteWhere(tx, AUDIT.isUpTo("at", this.#platform.now() - KEPT_MS)),
    );
  }
}

/** Returns the client's description of itself. */
export function deviceOf(context: RequestContext | null): string {
  return (context?.request.headers.get("user-agent") ?? "").slice(0, 200);
}
