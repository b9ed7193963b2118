import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { RequestContext } from "../../request/context.ts";
import type { Store } from "../../store/store.ts";
import { isoTime, transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";

const AUDIT = SYSTEM_TABLES.audit;
const KEPT_MS = 90 * 24 * 60 * 60_000;

/** One thing that happened to an account. */
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

/** What happened to accounts: who signed in from where, what was changed. Kept for 90 days. */
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
   * @param context the request that did it; null for the server itself
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
   * Takes a code, and notes where it is wrong.
   *
   * @param whose whom it would have let in or changed, by id; null for nobody
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

  /** The newest entries of a user, or of a tenant. @param limit at most this many */
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

  /** Deletes entries that are older than 90 days. @returns how many */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      AUDIT.deleteWhere(tx, AUDIT.isUpTo("at", this.#platform.now() - KEPT_MS)),
    );
  }
}

/** What the client says of itself. */
export function deviceOf(context: RequestContext | null): string {
  return (context?.request.headers.get("user-agent") ?? "").slice(0, 200);
}
