import { and, TRUE } from "@pylonsync/query";
import { ANONYMOUS, type Caller } from "../../identity/identity.ts";
import type { Committer } from "../../data/commit.ts";
import type { DataModel } from "../../data/model.ts";
import { referenced } from "../../data/references.ts";
import { referrersFirst, refersTo } from "../../schema/references.ts";
import type { Entity, Field } from "../../schema/schema.ts";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, StoredRow, Transaction } from "../../store/store.ts";
import { isoTime } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { AuditEntry, AuditLog } from "../security/audit.ts";
import type { Organization, Organizations } from "../organizations/organizations.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { UserRemoval } from "./user-removal.ts";
import type { Users } from "../users/users.ts";
import { fieldIs } from "../security/where.ts";

const FILES = SYSTEM_TABLES.files;
const BATCH_SIZE = 200;
const MAX_AUDIT = 10_000;

/** The dependencies of `UserData`. */
export interface UserDataServices {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly organizations: Organizations;
  readonly audit: AuditLog;
  readonly platform: Platform;
  readonly removal: UserRemoval;
}

/** Everything that the server stores about a user, as JSON. Times are ISO 8601. */
export interface UserExport {
  readonly user: Readonly<Record<string, unknown>> | null;
  /** By entity: the rows that the user owns, and those that refer to it. */
  readonly rows: Readonly<Record<string, readonly StoredRow[]>>;
  readonly files: readonly {
    readonly id: string;
    readonly name: string;
    readonly content_type: string;
    /** Bytes. */
    readonly size: number;
    readonly created_at: string;
  }[];
  readonly organizations: readonly (Organization & { readonly role: string })[];
  readonly sessions: readonly {
    readonly device: string;
    readonly created_at: string;
    readonly seen_at: string;
  }[];
  readonly audit: readonly AuditEntry[];
}

/** Exports and deletes everything that an app stores about a user. */
export class UserData {
  readonly #services: UserDataServices;

  constructor(services: UserDataServices) {
    this.#services = services;
  }

  /** Whether anything is stored for a user or guest with this id. */
  async knows(userId: string, reader: Reader): Promise<boolean> {
    const { users, sessions } = this.#services;
    if (
      (users.isDeclared && (await users.get(userId)) !== null) ||
      (await sessions.list(userId)).length > 0
    )
      return true;
    for (const { entity, field } of this.#references()) {
      if (field.owner && (await reader.count(entity.name, fieldIs(field.name, userId))) > 0)
        return true;
    }
    return false;
  }

  /**
   * @param recipient who receives the export: a row that only refers to the user may be about the
   *   user, but not readable by it. An admin receives all rows.
   * @param reader reads on behalf of the caller
   */
  async export(userId: string, recipient: Caller, reader: Reader): Promise<UserExport> {
    const { store, model, users, sessions, organizations, audit, platform } = this.#services;
    const now = new Date(platform.now()).toISOString();
    const seen = (entity: Entity): Entity => model().rules.seenBy(entity, recipient);
    const rows: Record<string, StoredRow[]> = {};
    for (const { entity, field } of this.#references()) {
      const readable = field.owner ? TRUE : model().rules.readable(entity.name, recipient, now);
      const found = await reader.select({
        entity: entity.name,
        where: and(fieldIs(field.name, userId), readable),
      });
      if (found.length === 0) continue;
      const known = new Set((rows[entity.name] ?? []).map(({ id }) => id));
      rows[entity.name] = [
        ...(rows[entity.name] ?? []),
        ...found.filter(({ id }) => !known.has(id)).map(seen(entity).visible),
      ];
    }
    const user = users.isDeclared ? await users.get(userId) : null;
    const files = await FILES.select(store, { where: FILES.is("ownerId", userId) });
    return {
      user: user === null ? null : seen(users.entity).visible(user),
      rows,
      files: files.map((file) => ({
        id: file.id,
        name: file.name,
        content_type: file.contentType,
        size: file.size,
        created_at: isoTime(file.createdAt),
      })),
      organizations: await organizations.of(userId),
      sessions: (await sessions.list(userId)).map(({ device, createdAt, seenAt }) => ({
        device,
        created_at: isoTime(createdAt),
        seen_at: isoTime(seenAt),
      })),
      audit: await audit.list({ userId }, MAX_AUDIT),
    };
  }

  /**
   * Deletes the user, the rows that it owns and its sessions. In rows that only refer to it, an
   * optional reference is set to null. Files are deleted with their rows, and files without a row
   * at the next clean-up.
   *
   * @param check runs in the first transaction; if it throws, nothing is deleted
   */
  async delete(userId: string, check?: (tx: Transaction) => Promise<void>): Promise<void> {
    const { store, committer, users, removal } = this.#services;
    const user = users.isDeclared ? await users.get(userId) : null;
    // First, so that nobody can act as this user any longer. A guest has no row to delete.
    await store.transact(async (tx) => {
      await check?.(tx);
      await removal.delete(tx, user ?? { id: userId });
    });
    const { head } = await store.bounds();
    const emptied = new Set<Entity>();
    for (const { entity, field } of this.#references()) {
      if (!field.owner && !field.optional) continue;
      for (;;) {
        const rows = await store.select({
          entity: entity.name,
          where: fieldIs(field.name, userId),
          limit: BATCH_SIZE,
        });
        if (rows.length === 0) break;
        if (field.owner) emptied.add(entity);
        await committer.commit(
          { caller: { ...ANONYMOUS, userId }, policies: "bypassed" },
          async (writer) => {
            for (const { id } of rows)
              await (field.owner
                ? writer.delete(entity.name, id)
                : writer.update(entity.name, id, { [field.name]: null }));
          },
        );
      }
    }
    if (users.isDeclared)
      await committer.commit({ caller: { ...ANONYMOUS, userId }, policies: "bypassed" }, (writer) =>
        writer.delete(users.entityName, userId),
      );
    await this.#orphanFiles(userId);
    for (const entity of emptied) await removal.forgetDeleted(entity, head);
  }

  /**
   * Checks before anything is deleted that no row prevents the deletion: one that is not deleted
   * with the user and whose reference is required.
   *
   * @throws PylonError REFERENCED
   */
  async requireDeletable(userId: string): Promise<void> {
    const { store, model, users } = this.#services;
    if (!users.isDeclared) return;
    for (const reference of model().entity(users.entityName).referrers) {
      const field = model().entity(reference.entity).fields.get(reference.field);
      if (reference.onDelete !== "restrict" || field?.owner === true || field?.optional === true)
        continue;
      if ((await store.count(reference.entity, refersTo(reference, userId))) > 0)
        throw referenced(users.entityName, reference);
    }
  }

  /** Marks uploads that no row uses as old enough to be cleaned up immediately. */
  async #orphanFiles(userId: string): Promise<void> {
    const files = await FILES.select(this.#services.store, {
      where: FILES.is("ownerId", userId),
    });
    await this.#services.store.transact(async (tx) => {
      for (const { id, linkedRow } of files) {
        if (linkedRow === null) await FILES.update(tx, id, { orphanedAt: 0 });
      }
    });
  }

  #references(): { readonly entity: Entity; readonly field: Field }[] {
    const { model, users } = this.#services;
    const entities = referrersFirst(model().schema.entities, ({ name }) => name);
    return entities.flatMap((entity) =>
      [...entity.fields.values()]
        .filter((field) => field.owner || field.target === users.entityName)
        .map((field) => ({ entity, field })),
    );
  }
}
