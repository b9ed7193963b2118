import { ANONYMOUS } from "../data/caller.ts";
import type { Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import type { Entity, Field } from "../schema/schema.ts";
import type { Store, StoredRow } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { AuditEntry, AuditLog } from "./audit.ts";
import type { Organization, Organizations } from "./organizations/organizations.ts";
import type { Sessions } from "./sessions.ts";
import type { Users } from "./users.ts";
import { fieldIs } from "./where.ts";

const FILES = SYSTEM_TABLES.files.name;
const AT_ONCE = 200;
const AUDIT_MAX = 10_000;

export interface UserDataServices {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly organizations: Organizations;
  readonly audit: AuditLog;
}

export interface UserExport {
  readonly user: Readonly<Record<string, unknown>> | null;
  /** By entity: the rows that name the user. */
  readonly rows: Readonly<Record<string, readonly StoredRow[]>>;
  readonly files: readonly { readonly id: string; readonly name: unknown; readonly content_type: unknown; readonly size: unknown; readonly created_at: unknown }[];
  readonly organizations: readonly (Organization & { readonly role: string })[];
  readonly sessions: readonly { readonly device: string; readonly created_at: string; readonly seen_at: string }[];
  readonly audit: readonly AuditEntry[];
}

/** All that an app knows of a user: to hand it out, and to forget it. */
export class UserData {
  readonly #services: UserDataServices;

  constructor(services: UserDataServices) {
    this.#services = services;
  }

  async export(userId: string): Promise<UserExport> {
    const { store, users, sessions, organizations, audit } = this.#services;
    const rows: Record<string, StoredRow[]> = {};
    for (const { entity, field } of this.#references()) {
      const found = await store.select({ entity: entity.name, where: fieldIs(field.name, userId) });
      if (found.length === 0) continue;
      const known = new Set((rows[entity.name] ?? []).map(({ id }) => id));
      rows[entity.name] = [...(rows[entity.name] ?? []), ...found.filter(({ id }) => !known.has(id)).map(entity.visible)];
    }
    const user = users.isDeclared ? await users.get(userId) : null;
    const files = await store.select({ entity: FILES, where: fieldIs("ownerId", userId) });
    return {
      user: user === null ? null : users.entity.visible(user),
      rows,
      files: files.map((file) => ({ id: file.id, name: file["name"], content_type: file["contentType"], size: file["size"], created_at: file["createdAt"] })),
      organizations: await organizations.of(userId),
      sessions: (await sessions.list(userId)).map(({ device, createdAt, seenAt }) => ({ device, created_at: createdAt, seen_at: seenAt })),
      audit: await audit.list({ userId }, AUDIT_MAX),
    };
  }

  /**
   * Deletes the user, the rows that it owns and its sessions. Where it is only mentioned, the mention is taken out if the field may be
   * empty. Files go with their rows, and those without a row at the next clean-up.
   */
  async delete(userId: string): Promise<void> {
    const { store, committer, users, sessions, organizations } = this.#services;
    await sessions.endAll(userId);
    await organizations.forget(userId);
    for (const { entity, field } of this.#references()) {
      if (!field.owner && !field.optional) continue;
      for (;;) {
        const rows = await store.select({ entity: entity.name, where: fieldIs(field.name, userId), limit: AT_ONCE });
        if (rows.length === 0) break;
        await committer.commit({ caller: { ...ANONYMOUS, userId }, policies: "bypassed" }, async (writer) => {
          for (const { id } of rows) await (field.owner ? writer.delete(entity.name, id) : writer.update(entity.name, id, { [field.name]: null }));
        });
      }
    }
    if (users.isDeclared) await committer.commit({ caller: { ...ANONYMOUS, userId }, policies: "bypassed" }, (writer) => writer.delete(users.entityName, userId));
    await this.#orphanFiles(userId);
    await store.transact((tx) => tx.delete(SYSTEM_TABLES.verifiedEmails.name, userId));
  }

  /** Uploads that no row took are old enough to be cleaned up at once. */
  async #orphanFiles(userId: string): Promise<void> {
    const files = await this.#services.store.select({ entity: FILES, where: fieldIs("ownerId", userId) });
    await this.#services.store.transact(async (tx) => {
      for (const { id, linkedRow } of files) {
        if (linkedRow === null) await tx.update(FILES, id, { orphanedAt: new Date(0).toISOString() });
      }
    });
  }

  #references(): { readonly entity: Entity; readonly field: Field }[] {
    const { model, users } = this.#services;
    return model().schema.entities.flatMap((entity) => [...entity.fields.values()].filter((field) => field.owner || field.target === users.entityName).map((field) => ({ entity, field })));
  }
}
