import { and, type Expr } from "@pylonsync/query";
import type { CascadeDelete } from "../../data/commit.ts";
import type { DataModel } from "../../data/model.ts";
import type { Entity } from "../../schema/schema.ts";
import type { Reader, StoredRow, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { fieldIs } from "../security/where.ts";
import type { TenantSessions } from "./tenant-sessions.ts";

const ENTITY = "OrgMember";
const USER = "userId";
const ORGANIZATION = "orgId";

/**
 * Members of organizations that the app stores itself: rows of its entity `OrgMember`, each of
 * which makes the user `userId` a member of `orgId`. The entity's policies decide who becomes one.
 * For an organization that Pylon stores, the rows have no effect.
 */
export class AppMembers implements CascadeDelete {
  readonly #model: () => DataModel;
  readonly #tenants: Pick<TenantSessions, "leave">;

  constructor(model: () => DataModel, tenants: Pick<TenantSessions, "leave">) {
    this.#model = model;
    this.#tenants = tenants;
  }

  /** Whether the app has the entity, with both fields. */
  get isDeclared(): boolean {
    const fields = this.#declared?.fields;
    return fields?.has(USER) === true && fields.has(ORGANIZATION);
  }

  /** Whether a row makes the user a member of the organization. */
  async has(reader: Reader, organizationId: string, userId: string): Promise<boolean> {
    if (!this.isDeclared) return false;
    if ((await SYSTEM_TABLES.organizations.get(reader, organizationId)) !== null) return false;
    return (await reader.count(this.#entity, isMember(organizationId, userId))) > 0;
  }

  readonly concerns = (entity: string): boolean => entity === this.#entity;

  /** The current name of the app's entity. */
  get #entity(): string {
    return this.#declared?.name ?? ENTITY;
  }

  get #declared(): Entity | undefined {
    return this.#model().schema.find(ENTITY);
  }

  /** Runs in the transaction that deletes the row: the user's sessions leave the tenant. */
  readonly delete = async (tx: Transaction, row: StoredRow): Promise<void> => {
    const { [USER]: userId, [ORGANIZATION]: organizationId } = row;
    if (typeof userId !== "string" || typeof organizationId !== "string") return;
    if ((await SYSTEM_TABLES.organizations.get(tx, organizationId)) !== null) return;
    if (await this.has(tx, organizationId, userId)) return;
    await this.#tenants.leave(tx, userId, organizationId);
  };

  /** The row may make another user a member from now on. */
  readonly update = async (tx: Transaction, before: StoredRow, after: StoredRow): Promise<void> => {
    if (before[USER] === after[USER] && before[ORGANIZATION] === after[ORGANIZATION]) return;
    await this.delete(tx, before);
  };
}

function isMember(organizationId: string, userId: string): Expr {
  return and(fieldIs(ORGANIZATION, organizationId), fieldIs(USER, userId));
}
