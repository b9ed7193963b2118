import type { Committer } from "../../data/commit.ts";
import { ANONYMOUS } from "../../identity/identity.ts";
import type { DataModel } from "../../data/model.ts";
import type { Store } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { fieldIs } from "../security/where.ts";

const FILES = SYSTEM_TABLES.files;
const BATCH_SIZE = 200;

/**
 * Hands a guest's rows and files over to the user that the guest signs in as: each row that refers
 * to the guest as its owner, or as a user, then refers to the user. A row that can't be handed
 * over, because the user already has a row that it conflicts with, remains the guest's.
 */
export class GuestUpgrade {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #sessions: Sessions;
  readonly #model: () => DataModel;

  constructor(store: Store, committer: Committer, sessions: Sessions, model: () => DataModel) {
    this.#store = store;
    this.#committer = committer;
    this.#sessions = sessions;
    this.#model = model;
  }

  /**
   * Hands over, and ends the guest's sessions. If this is interrupted, the next sign-in to the same
   * user continues it.
   *
   * @param userEntity the entity whose ids users have
   * @param keptSession the id of a session of the guest that does not end
   * @throws PylonError UNAUTHORIZED when the guest has become another user
   */
  async transferRows(
    guestId: string,
    userId: string,
    userEntity: string,
    keptSession: string | null = null,
  ): Promise<void> {
    await this.#sessions.become(guestId, userId);
    await this.#transferAll(guestId, userId, userEntity);
    await this.#sessions.endAll(guestId, { except: keptSession });
  }

  async #transferAll(guestId: string, userId: string, userEntity: string): Promise<void> {
    for (const { name, fields } of this.#model().schema.entities) {
      for (const field of fields.values()) {
        if (field.owner || field.target === userEntity)
          await this.#handOverField(name, field.name, guestId, userId);
      }
    }
    await this.#handOverFiles(guestId, userId);
    if (this.#model().schema.find(userEntity) !== undefined) {
      await this.#committer.commit(
        { caller: { ...ANONYMOUS, userId }, policies: "bypassed" },
        (writer) => writer.delete(userEntity, guestId),
      );
    }
  }

  async #handOverField(
    entity: string,
    field: string,
    guestId: string,
    userId: string,
  ): Promise<void> {
    const stuck = new Set<string>();
    for (;;) {
      const rows = await this.#store.select({
        entity,
        where: fieldIs(field, guestId),
        limit: BATCH_SIZE + stuck.size,
      });
      const movable = rows.filter(({ id }) => !stuck.has(id));
      if (movable.length === 0) return;
      const outcomes = await this.#committer.commitEach(
        movable.map(({ id }) => ({
          options: { caller: { ...ANONYMOUS, userId }, policies: "bypassed" as const },
          work: (writer) => writer.update(entity, id, { [field]: userId }),
        })),
      );
      for (const [at, outcome] of outcomes.entries()) {
        const row = movable[at];
        if ("error" in outcome && row !== undefined) stuck.add(row.id);
      }
    }
  }

  async #handOverFiles(guestId: string, userId: string): Promise<void> {
    for (;;) {
      const files = await FILES.select(this.#store, {
        where: FILES.is("ownerId", guestId),
        limit: BATCH_SIZE,
      });
      if (files.length === 0) return;
      await this.#store.transact(async (tx) => {
        for (const { id, boundField } of files)
          await FILES.update(tx, id, {
            ownerId: userId,
            // A guest's file is deleted after a while, a user's is kept.
            ...(boundField === null ? { orphanedAt: null } : {}),
          });
      });
    }
  }
}
