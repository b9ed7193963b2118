import { createIdFactory, PylonError } from "@pylonsync/protocol";
import { and } from "@pylonsync/query";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, StoredRow, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { hashOf, keyOf, newToken } from "../security/secrets.ts";
import { fieldIs, fieldIsUpTo } from "../security/where.ts";

const ORGANIZATIONS = SYSTEM_TABLES.organizations.name;
const MEMBERS = SYSTEM_TABLES.members.name;
const INVITATIONS = SYSTEM_TABLES.invitations.name;
const INVITATION_MS = 7 * 24 * 60 * 60_000;
/** Of who is no member. */
const NO_RANK = -1;

/** A group of users with roles. */
export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly created_at: string;
}

/** A user in an organization. */
export interface Member {
  readonly user_id: string;
  /** `owner`, `admin`, `member`, or a name of the app's own, which ranks as `member`. */
  readonly role: string;
  readonly created_at: string;
}

/** An offer to join an organization, by mail. */
export interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly invited_by: string;
  readonly created_at: string;
  readonly expires_at: string;
}

/**
 * What became of somebody's place in an organization: the new role, or null for a place that is no
 * more.
 */
export type MembershipListener = (
  userId: string,
  organizationId: string,
  role: string | null,
) => Promise<void>;

/** Groups of users with roles. One of them can be a session's tenant. */
export class Organizations {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #onChange: MembershipListener;

  /** @param onChange called after a change of a membership is durable */
  constructor(store: Store, platform: Platform, onChange: MembershipListener) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
    this.#onChange = onChange;
  }

  /** Makes an organization that belongs to the user. */
  async create(name: string, ownerId: string): Promise<Organization> {
    const row: StoredRow = { id: this.#newId(), name, createdAt: this.#at() };
    await this.#store.transact(async (tx) => {
      await tx.insert(ORGANIZATIONS, row);
      await tx.insert(MEMBERS, this.#memberRow(row.id, ownerId, "owner"));
    });
    return toOrganization(row);
  }

  /** The organizations of a user, with its role in each. */
  async of(userId: string): Promise<(Organization & { readonly role: string })[]> {
    const memberships = await this.#store.select({
      entity: MEMBERS,
      where: fieldIs("userId", userId),
    });
    const found = await Promise.all(
      memberships.map(async ({ organizationId, role }) => ({
        row: await this.#store.get(ORGANIZATIONS, organizationId as string),
        role: role as string,
      })),
    );
    return found.flatMap(({ row, role }) =>
      row === null ? [] : [{ ...toOrganization(row), role }],
    );
  }

  async get(organizationId: string): Promise<Organization | null> {
    const row = await this.#store.get(ORGANIZATIONS, organizationId);
    return row === null ? null : toOrganization(row);
  }

  /** The user's role, or null for who is no member. */
  async role(organizationId: string, userId: string): Promise<string | null> {
    return (
      ((await this.#store.get(MEMBERS, memberId(organizationId, userId)))?.["role"] as
        | string
        | undefined) ?? null
    );
  }

  /** The oldest first. */
  async members(organizationId: string): Promise<Member[]> {
    const rows = await this.#store.select({
      entity: MEMBERS,
      where: fieldIs("organizationId", organizationId),
      order: [{ field: "createdAt", direction: "asc" }],
    });
    return rows.map((row) => ({
      user_id: row["userId"] as string,
      role: row["role"] as string,
      created_at: row["createdAt"] as string,
    }));
  }

  /** @throws PylonError FORBIDDEN */
  async rename(organizationId: string, actorId: string, name: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "admin");
      await tx.update(ORGANIZATIONS, organizationId, { name });
    });
  }

  /**
   * Deletes the organization. The app's rows of this tenant are the app's to delete.
   *
   * @throws PylonError FORBIDDEN
   */
  async delete(organizationId: string, actorId: string): Promise<void> {
    const members = await this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "owner");
      const rows = await tx.select({
        entity: MEMBERS,
        where: fieldIs("organizationId", organizationId),
      });
      await tx.deleteWhere(MEMBERS, fieldIs("organizationId", organizationId));
      await tx.deleteWhere(INVITATIONS, fieldIs("organizationId", organizationId));
      await tx.delete(ORGANIZATIONS, organizationId);
      return rows;
    });
    for (const { userId } of members) await this.#onChange(userId as string, organizationId, null);
  }

  /**
   * @throws PylonError FORBIDDEN for who ranks below the member or the role, NOT_FOUND, LAST_OWNER
   */
  async setRole(
    organizationId: string,
    actorId: string,
    userId: string,
    role: string,
  ): Promise<void> {
    await this.#store.transact(async (tx) => {
      const before = await this.#requireAbove(tx, organizationId, actorId, userId, role);
      if (before === "owner" && role !== "owner") await this.#requireOtherOwner(tx, organizationId);
      await tx.update(MEMBERS, memberId(organizationId, userId), { role });
      await this.#withdrawBy(tx, organizationId, userId, rank(role));
    });
    await this.#onChange(userId, organizationId, role);
  }

  /**
   * Takes a member out; everybody may take themselves out.
   *
   * @throws PylonError FORBIDDEN, NOT_FOUND, LAST_OWNER
   */
  async remove(organizationId: string, actorId: string, userId: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      const role =
        actorId === userId
          ? await this.#roleIn(tx, organizationId, userId)
          : await this.#requireAbove(tx, organizationId, actorId, userId);
      if (role === null) throw noMember();
      if (role === "owner") await this.#requireOtherOwner(tx, organizationId);
      await tx.delete(MEMBERS, memberId(organizationId, userId));
      await this.#withdrawBy(tx, organizationId, userId, NO_RANK);
    });
    await this.#onChange(userId, organizationId, null);
  }

  /** The organizations with other members that nobody but this user owns. */
  async ownedAlone(userId: string): Promise<Organization[]> {
    const owned = (await this.of(userId)).filter(({ role }) => role === "owner");
    const members = await Promise.all(owned.map(({ id }) => this.members(id)));
    return owned.filter((_, index) => {
      const others = (members[index] ?? []).filter(({ user_id: id }) => id !== userId);
      return others.length > 0 && !others.some(({ role }) => role === "owner");
    });
  }

  /**
   * Takes a user who is no more out of all organizations, within the transaction that deletes it.
   * One that nobody else owns goes to whoever is there longest of those with the highest rank; one
   * without other members is deleted.
   */
  async forgetIn(tx: Transaction, userId: string, email: string | null): Promise<void> {
    for (const { id, organizationId, role } of await tx.select({
      entity: MEMBERS,
      where: fieldIs("userId", userId),
    })) {
      await tx.delete(MEMBERS, id);
      const ofIt = fieldIs("organizationId", organizationId as string);
      const rest = await tx.select({
        entity: MEMBERS,
        where: ofIt,
        order: [{ field: "createdAt", direction: "asc" }],
      });
      const [heir] = rest.toSorted((a, b) => rank(b["role"] as string) - rank(a["role"] as string));
      if (heir === undefined) {
        await tx.deleteWhere(INVITATIONS, ofIt);
        await tx.delete(ORGANIZATIONS, organizationId as string);
      } else if (role === "owner") {
        await tx.update(MEMBERS, heir.id, { role: "owner" });
      }
    }
    await tx.deleteWhere(INVITATIONS, fieldIs("invitedBy", userId));
    if (email !== null) await tx.deleteWhere(INVITATIONS, fieldIs("email", email));
  }

  /** @returns the secret for the mail @throws PylonError FORBIDDEN */
  async invite(
    organizationId: string,
    actorId: string,
    email: string,
    role: string,
  ): Promise<{ readonly token: string; readonly invitation: Invitation }> {
    const token = newToken(this.#platform);
    const row: StoredRow = {
      id: this.#newId(),
      organizationId,
      email,
      role,
      invitedBy: actorId,
      tokenHash: hashOf(token),
      createdAt: this.#at(),
      expiresAt: new Date(this.#platform.now() + INVITATION_MS).toISOString(),
    };
    await this.#store.transact(async (tx) => {
      const actor = await this.#requireRank(tx, organizationId, actorId, "admin");
      if (rank(role) > rank(actor)) throw tooHigh();
      // A second invitation takes the place of the first.
      await tx.deleteWhere(
        INVITATIONS,
        and(fieldIs("organizationId", organizationId), fieldIs("email", email)),
      );
      await tx.insert(INVITATIONS, row);
    });
    return { token, invitation: toInvitation(row) };
  }

  async invitations(organizationId: string): Promise<Invitation[]> {
    const rows = await this.#store.select({
      entity: INVITATIONS,
      where: fieldIs("organizationId", organizationId),
    });
    return rows
      .map(toInvitation)
      .filter(({ expires_at: ends }) => Date.parse(ends) > this.#platform.now());
  }

  /** @throws PylonError FORBIDDEN @returns whether it was there */
  async withdraw(organizationId: string, actorId: string, invitationId: string): Promise<boolean> {
    return this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "admin");
      return (
        (await tx.deleteWhere(
          INVITATIONS,
          and(fieldIs("id", invitationId), fieldIs("organizationId", organizationId)),
        )) > 0
      );
    });
  }

  /**
   * Makes the user a member.
   *
   * @param email an address that the user has verified
   * @throws PylonError INVALID_TOKEN for an invitation that is unknown, used, too old or somebody
   *   else's
   */
  async accept(
    token: string,
    userId: string,
    email: string,
  ): Promise<Organization & { readonly role: string }> {
    const invalid = (): PylonError =>
      new PylonError("INVALID_TOKEN", "This invitation is not for you, was used, or is too old.", {
        field: "token",
        hint: "Sign in with the address that was invited, and verify it.",
      });
    const joined = await this.#store.transact(async (tx) => {
      const [row] = await tx.select({
        entity: INVITATIONS,
        where: fieldIs("tokenHash", hashOf(token)),
        limit: 1,
      });
      if (
        row === undefined ||
        row["email"] !== email ||
        Date.parse(row["expiresAt"] as string) <= this.#platform.now()
      )
        throw invalid();
      const organization = await tx.get(ORGANIZATIONS, row["organizationId"] as string);
      if (organization === null) throw invalid();
      const inviter = await this.#roleIn(tx, organization.id, row["invitedBy"] as string);
      if (!mayInvite(inviter === null ? NO_RANK : rank(inviter), row["role"] as string))
        throw invalid();
      await tx.delete(INVITATIONS, row.id);
      const known = await this.#roleIn(tx, organization.id, userId);
      const role = known ?? (row["role"] as string);
      if (known === null) await tx.insert(MEMBERS, this.#memberRow(organization.id, userId, role));
      return { ...toOrganization(organization), role };
    });
    await this.#onChange(userId, joined.id, joined.role);
    return joined;
  }

  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      tx.deleteWhere(INVITATIONS, fieldIsUpTo("expiresAt", this.#platform.now())),
    );
  }

  async #roleIn(reader: Reader, organizationId: string, userId: string): Promise<string | null> {
    return (
      ((await reader.get(MEMBERS, memberId(organizationId, userId)))?.["role"] as
        | string
        | undefined) ?? null
    );
  }

  /** What a member promised to others, who then had it by a place that the member has no more. */
  async #withdrawBy(
    tx: Transaction,
    organizationId: string,
    userId: string,
    rankNow: number,
  ): Promise<void> {
    for (const { id, role } of await tx.select({
      entity: INVITATIONS,
      where: and(fieldIs("organizationId", organizationId), fieldIs("invitedBy", userId)),
    })) {
      if (!mayInvite(rankNow, role as string)) await tx.delete(INVITATIONS, id);
    }
  }

  /** @returns the actor's role; an admin stands in for owners who are no more */
  async #requireRank(
    tx: Transaction,
    organizationId: string,
    actorId: string,
    least: "admin" | "owner",
  ): Promise<string> {
    const role = await this.#roleIn(tx, organizationId, actorId);
    if (role === null) throw noOrganization();
    if (role === "admin" && (await this.#owners(tx, organizationId)) === 0) return "owner";
    if (rank(role) < rank(least))
      throw new PylonError(
        "FORBIDDEN",
        `Only ${least === "owner" ? "an owner" : "owners and admins"} of the organization may do this.`,
      );
    return role;
  }

  /**
   * The actor manages the organization and ranks no lower than the member, nor than the role that
   * is to be given.
   *
   * @returns the member's role
   */
  async #requireAbove(
    tx: Transaction,
    organizationId: string,
    actorId: string,
    userId: string,
    role = "member",
  ): Promise<string> {
    const actor = await this.#requireRank(tx, organizationId, actorId, "admin");
    const before = await this.#roleIn(tx, organizationId, userId);
    if (before === null) throw noMember();
    if (rank(before) > rank(actor) || rank(role) > rank(actor)) throw tooHigh();
    return before;
  }

  async #requireOtherOwner(tx: Transaction, organizationId: string): Promise<void> {
    if ((await this.#owners(tx, organizationId)) < 2)
      throw new PylonError("LAST_OWNER", "An organization has one owner at least.", {
        hint: "Make another member the owner first, or delete the organization.",
      });
  }

  #owners(reader: Reader, organizationId: string): Promise<number> {
    return reader.count(
      MEMBERS,
      and(fieldIs("organizationId", organizationId), fieldIs("role", "owner")),
    );
  }

  #memberRow(organizationId: string, userId: string, role: string): StoredRow {
    return {
      id: memberId(organizationId, userId),
      organizationId,
      userId,
      role,
      createdAt: this.#at(),
    };
  }

  #at(): string {
    return new Date(this.#platform.now()).toISOString();
  }
}

/** To who is no member an organization is not there. */
export function noOrganization(): PylonError {
  return new PylonError(
    "NOT_FOUND",
    "There is no such organization, or you are not a member of it.",
    {
      hint: "GET /api/auth/orgs lists yours.",
    },
  );
}

function memberId(organizationId: string, userId: string): string {
  return keyOf(organizationId, userId);
}

function rank(role: string): number {
  return role === "owner" ? 2 : role === "admin" ? 1 : 0;
}

function mayInvite(by: number, role: string): boolean {
  return by >= rank("admin") && by >= rank(role);
}

function noMember(): PylonError {
  return new PylonError("NOT_FOUND", "The organization has no such member.");
}

function tooHigh(): PylonError {
  return new PylonError("FORBIDDEN", "Nobody gives or takes a role that is above their own.", {
    field: "role",
  });
}

function toOrganization(row: StoredRow): Organization {
  return { id: row.id, name: row["name"] as string, created_at: row["createdAt"] as string };
}

function toInvitation(row: StoredRow): Invitation {
  return {
    id: row.id,
    email: row["email"] as string,
    role: row["role"] as string,
    invited_by: row["invitedBy"] as string,
    created_at: row["createdAt"] as string,
    expires_at: row["expiresAt"] as string,
  };
}
