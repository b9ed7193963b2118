import { createIdFactory, MAX_INVITATIONS, PylonError } from "@pylonsync/protocol";
import { and } from "@pylonsync/query";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, Transaction } from "../../store/store.ts";
import { isoTime, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { hashOf, keyOf, newToken } from "../security/secrets.ts";

const { organizations: ORGANIZATIONS, members: MEMBERS, invitations: INVITATIONS } = SYSTEM_TABLES;
const INVITATION_MS = 7 * 24 * 60 * 60_000;
/** The rank of a user who is not a member. */
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
  /** `owner`, `admin`, `member`, or a role of the app's own, which ranks as `member`. */
  readonly role: string;
  readonly created_at: string;
}

/** An invitation to join an organization, by mail. */
export interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly invited_by: string;
  readonly created_at: string;
  readonly expires_at: string;
}

/** What everyone who has the link of an invitation may see, before they sign in. */
export interface InvitationPreview {
  readonly organization: string;
  readonly role: string;
  /** The invited address without most of its local part: `a…@example.com`. */
  readonly email: string;
}

/** A user who accepts an invitation. */
export interface Invited {
  readonly id: string;
  readonly email: string;
  /** Whether the user has shown that the address is theirs. */
  readonly isVerified: boolean;
}

/**
 * Called after a change of a user's membership: with the new role, or null if the membership has
 * ended.
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
  readonly #maxOwned: number;

  /**
   * @param onChange called after a change of a membership is durable
   * @param maxOwned the maximum number of organizations that a user may own to create another
   */
  constructor(store: Store, platform: Platform, onChange: MembershipListener, maxOwned = Infinity) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
    this.#onChange = onChange;
    this.#maxOwned = maxOwned;
  }

  /** Creates an organization that the user owns. @throws PylonError CONFLICT if it owns too many */
  async create(name: string, ownerId: string): Promise<Organization> {
    const row = { id: this.#newId(), name, createdAt: this.#platform.now() };
    await this.#store.transact(async (tx) => {
      const owned = and(MEMBERS.is("userId", ownerId), MEMBERS.is("role", "owner"));
      if ((await MEMBERS.count(tx, owned)) >= this.#maxOwned)
        throw new PylonError(
          "CONFLICT",
          `A user may own at most ${this.#maxOwned} organizations.`,
          {
            hint: "Delete some, or raise PYLON_MAX_ORGS_PER_USER.",
          },
        );
      await ORGANIZATIONS.insert(tx, row);
      await MEMBERS.insert(tx, this.#memberRow(row.id, ownerId, "owner"));
    });
    return toOrganization(row);
  }

  /** Returns the organizations of a user, with its role in each. */
  async of(userId: string): Promise<(Organization & { readonly role: string })[]> {
    const memberships = await MEMBERS.select(this.#store, { where: MEMBERS.is("userId", userId) });
    const found = await Promise.all(
      memberships.map(async ({ organizationId, role }) => ({
        row: await ORGANIZATIONS.get(this.#store, organizationId),
        role,
      })),
    );
    return found.flatMap(({ row, role }) =>
      row === null ? [] : [{ ...toOrganization(row), role }],
    );
  }

  /** Returns the organization with this id, for any caller, or null if there is none. */
  async get(organizationId: string): Promise<Organization | null> {
    const row = await ORGANIZATIONS.get(this.#store, organizationId);
    return row === null ? null : toOrganization(row);
  }

  /** Returns the user's role, or null if it is not a member. */
  role(organizationId: string, userId: string): Promise<string | null> {
    return this.#roleIn(this.#store, organizationId, userId);
  }

  /** Returns the members, the oldest first. */
  async members(organizationId: string): Promise<Member[]> {
    const rows = await MEMBERS.select(this.#store, {
      where: MEMBERS.is("organizationId", organizationId),
      order: [{ field: "createdAt", direction: "asc" }],
    });
    return rows.map(({ userId, role, createdAt }) => ({
      user_id: userId,
      role,
      created_at: isoTime(createdAt),
    }));
  }

  /** @throws PylonError FORBIDDEN */
  async rename(organizationId: string, actorId: string, name: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "admin");
      await ORGANIZATIONS.update(tx, organizationId, { name });
    });
  }

  /**
   * Deletes the organization. The app itself has to delete its rows of this tenant.
   *
   * @throws PylonError FORBIDDEN
   */
  async delete(organizationId: string, actorId: string): Promise<void> {
    const members = await this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "owner");
      const ofIt = MEMBERS.is("organizationId", organizationId);
      const rows = await MEMBERS.select(tx, { where: ofIt });
      await MEMBERS.deleteWhere(tx, ofIt);
      await INVITATIONS.deleteWhere(tx, INVITATIONS.is("organizationId", organizationId));
      await ORGANIZATIONS.delete(tx, organizationId);
      return rows;
    });
    for (const { userId } of members) await this.#onChange(userId, organizationId, null);
  }

  /**
   * @throws PylonError FORBIDDEN for a user who ranks below the member or the role, NOT_FOUND,
   *   LAST_OWNER
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
      await MEMBERS.update(tx, memberId(organizationId, userId), { role });
      await this.#withdrawBy(tx, organizationId, userId, rank(role));
    });
    await this.#onChange(userId, organizationId, role);
  }

  /**
   * Removes a member; every member may remove itself.
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
      await MEMBERS.delete(tx, memberId(organizationId, userId));
      await this.#withdrawBy(tx, organizationId, userId, NO_RANK);
    });
    await this.#onChange(userId, organizationId, null);
  }

  /**
   * Checks that a user can leave all its organizations: each has another owner, or no other member.
   *
   * @param reader the transaction that deletes the user, so that no other owner leaves meanwhile
   * @throws PylonError LAST_OWNER
   */
  async requireLeavable(reader: Reader, userId: string): Promise<void> {
    const owned = and(MEMBERS.is("userId", userId), MEMBERS.is("role", "owner"));
    for (const { organizationId } of await MEMBERS.select(reader, { where: owned })) {
      if ((await this.#owners(reader, organizationId)) > 1) continue;
      const members = MEMBERS.is("organizationId", organizationId);
      if ((await MEMBERS.count(reader, members)) < 2) continue;
      const name = (await ORGANIZATIONS.get(reader, organizationId))?.name ?? organizationId;
      throw new PylonError(
        "LAST_OWNER",
        `You are the only owner of the organization "${name}", which has other members.`,
        { hint: "Make another member the owner first, or delete the organization." },
      );
    }
  }

  /**
   * Removes a deleted user from all organizations, within the transaction that deletes it. An
   * organization that it alone owns is given to the longest-standing member of the highest rank;
   * one without other members is deleted.
   */
  async forgetIn(tx: Transaction, userId: string, email: string | null): Promise<void> {
    const places = await MEMBERS.select(tx, { where: MEMBERS.is("userId", userId) });
    for (const { id, organizationId, role } of places) {
      await MEMBERS.delete(tx, id);
      const rest = await MEMBERS.select(tx, {
        where: MEMBERS.is("organizationId", organizationId),
        order: [{ field: "createdAt", direction: "asc" }],
      });
      const [successor] = rest.toSorted((a, b) => rank(b.role) - rank(a.role));
      if (successor === undefined) {
        await INVITATIONS.deleteWhere(tx, INVITATIONS.is("organizationId", organizationId));
        await ORGANIZATIONS.delete(tx, organizationId);
      } else if (role === "owner") {
        await MEMBERS.update(tx, successor.id, { role: "owner" });
      }
    }
    await INVITATIONS.deleteWhere(tx, INVITATIONS.is("invitedBy", userId));
    if (email !== null) await INVITATIONS.deleteWhere(tx, INVITATIONS.is("email", email));
  }

  /**
   * @param also runs in the same transaction, which may be retried: adds the mail
   * @returns the secret of the mail
   * @throws PylonError FORBIDDEN, CONFLICT if the organization has too many
   */
  async invite(
    organizationId: string,
    actorId: string,
    email: string,
    role: string,
    also: (tx: Transaction, token: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<{ readonly token: string; readonly invitation: Invitation }> {
    const token = newToken(this.#platform);
    const row = {
      id: this.#newId(),
      organizationId,
      email,
      role,
      invitedBy: actorId,
      tokenHash: hashOf(token),
      createdAt: this.#platform.now(),
      expiresAt: this.#platform.now() + INVITATION_MS,
    };
    await this.#store.transact(async (tx) => {
      const actor = await this.#requireRank(tx, organizationId, actorId, "admin");
      if (rank(role) > rank(actor)) throw tooHigh();
      // A second invitation replaces the first.
      await INVITATIONS.deleteWhere(
        tx,
        and(INVITATIONS.is("organizationId", organizationId), INVITATIONS.is("email", email)),
      );
      const open = await INVITATIONS.count(tx, INVITATIONS.is("organizationId", organizationId));
      if (open >= MAX_INVITATIONS)
        throw new PylonError(
          "CONFLICT",
          `An organization may have at most ${MAX_INVITATIONS} open invitations.`,
          { hint: "Withdraw some, or wait until they are accepted or expire." },
        );
      await INVITATIONS.insert(tx, row);
      await also(tx, token);
    });
    return { token, invitation: toInvitation(row) };
  }

  /** Returns the organization's invitations that can still be accepted. */
  async invitations(organizationId: string): Promise<Invitation[]> {
    const rows = await INVITATIONS.select(this.#store, {
      where: INVITATIONS.is("organizationId", organizationId),
    });
    const now = this.#platform.now();
    return rows.filter(({ expiresAt }) => expiresAt > now).map(toInvitation);
  }

  /** @throws PylonError FORBIDDEN @returns whether it existed */
  async withdraw(organizationId: string, actorId: string, invitationId: string): Promise<boolean> {
    return this.#store.transact(async (tx) => {
      await this.#requireRank(tx, organizationId, actorId, "admin");
      return (
        (await INVITATIONS.deleteWhere(
          tx,
          and(INVITATIONS.is("id", invitationId), INVITATIONS.is("organizationId", organizationId)),
        )) > 0
      );
    });
  }

  /**
   * Returns what the link of an invitation may show. It does not change the invitation.
   *
   * @throws PylonError INVALID_TOKEN for an invitation that is unknown, used, expired or withdrawn
   */
  async preview(token: string): Promise<InvitationPreview> {
    const valid = await this.#valid(this.#store, token);
    if (valid === null)
      throw new PylonError(
        "INVALID_TOKEN",
        "This invitation has been used or withdrawn, or has expired.",
        { field: "token", hint: "Ask for a new invitation." },
      );
    const { row, organization } = valid;
    return { organization: organization.name, role: row.role, email: masked(row.email) };
  }

  /**
   * Makes the user a member.
   *
   * @throws PylonError INVALID_TOKEN for an invitation that is unknown, used, expired or for
   *   another user; EMAIL_NOT_VERIFIED
   */
  async accept(
    token: string,
    { id: userId, email, isVerified }: Invited,
  ): Promise<Organization & { readonly role: string }> {
    const invalid = (): PylonError =>
      new PylonError(
        "INVALID_TOKEN",
        "This invitation is not for you, has been used, or has expired.",
        {
          field: "token",
          hint: "Sign in with the invited email address, or ask for a new invitation.",
        },
      );
    const joined = await this.#store.transact(async (tx) => {
      const valid = await this.#valid(tx, token);
      if (valid === null || valid.row.email !== email) throw invalid();
      const { row, organization } = valid;
      // A user with this address and the link may learn that it is valid.
      if (!isVerified)
        throw new PylonError(
          "EMAIL_NOT_VERIFIED",
          "Verify your email address to accept the invitation.",
          { hint: "POST /api/auth/email/send-verification sends a code to it." },
        );
      await INVITATIONS.delete(tx, row.id);
      const known = await this.#roleIn(tx, organization.id, userId);
      const role = known ?? row.role;
      if (known === null) await MEMBERS.insert(tx, this.#memberRow(organization.id, userId, role));
      return { ...toOrganization(organization), role };
    });
    await this.#onChange(userId, joined.id, joined.role);
    return joined;
  }

  /** @returns null for an invitation that no one can accept now */
  async #valid(
    reader: Reader,
    token: string,
  ): Promise<{
    readonly row: RowOf<typeof INVITATIONS>;
    readonly organization: RowOf<typeof ORGANIZATIONS>;
  } | null> {
    const [row] = await INVITATIONS.select(reader, {
      where: INVITATIONS.is("tokenHash", hashOf(token)),
      limit: 1,
    });
    if (row === undefined || row.expiresAt <= this.#platform.now()) return null;
    const organization = await ORGANIZATIONS.get(reader, row.organizationId);
    if (organization === null) return null;
    const inviter = await this.#roleIn(reader, organization.id, row.invitedBy);
    const isAllowed = mayInvite(inviter === null ? NO_RANK : rank(inviter), row.role);
    return isAllowed ? { row, organization } : null;
  }

  /** Deletes expired invitations. @returns the number of deleted invitations */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      INVITATIONS.deleteWhere(tx, INVITATIONS.isUpTo("expiresAt", this.#platform.now())),
    );
  }

  async #roleIn(reader: Reader, organizationId: string, userId: string): Promise<string | null> {
    return (await MEMBERS.get(reader, memberId(organizationId, userId)))?.role ?? null;
  }

  /** Withdraws the invitations of a member that its current rank no longer permits. */
  async #withdrawBy(
    tx: Transaction,
    organizationId: string,
    userId: string,
    rankNow: number,
  ): Promise<void> {
    const made = await INVITATIONS.select(tx, {
      where: and(
        INVITATIONS.is("organizationId", organizationId),
        INVITATIONS.is("invitedBy", userId),
      ),
    });
    for (const { id, role } of made)
      if (!mayInvite(rankNow, role)) await INVITATIONS.delete(tx, id);
  }

  /** @returns the actor's role; an admin counts as an owner if there is no owner left */
  async #requireRank(
    tx: Transaction,
    organizationId: string,
    actorId: string,
    least: "admin" | "owner",
  ): Promise<string> {
    const role = await this.#roleIn(tx, organizationId, actorId);
    if (role === null) throw noOrganization();
    if (role === "admin" && (await this.#owners(tx, organizationId)) === 0) return "owner";
    if (rank(role) >= rank(least)) return role;
    const who = least === "owner" ? "an owner" : "owners and admins";
    throw new PylonError("FORBIDDEN", `Only ${who} of the organization may do this.`);
  }

  /**
   * Requires that the actor manages the organization and ranks no lower than the member and the
   * role to be given.
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
      throw new PylonError("LAST_OWNER", "An organization must have at least one owner.", {
        hint: "Make another member the owner first, or delete the organization.",
      });
  }

  #owners(reader: Reader, organizationId: string): Promise<number> {
    return MEMBERS.count(
      reader,
      and(MEMBERS.is("organizationId", organizationId), MEMBERS.is("role", "owner")),
    );
  }

  #memberRow(organizationId: string, userId: string, role: string): RowOf<typeof MEMBERS> {
    return {
      id: memberId(organizationId, userId),
      organizationId,
      userId,
      role,
      createdAt: this.#platform.now(),
    };
  }
}

/** The error for an organization that does not exist or that the caller is not a member of. */
export function noOrganization(): PylonError {
  return new PylonError(
    "NOT_FOUND",
    "There is no such organization, or you are not a member of it.",
    {
      hint: "GET /api/auth/orgs lists your organizations.",
    },
  );
}

/** Shows its owner which address it is, and hardly anyone else. */
function masked(email: string): string {
  const [first = ""] = email;
  return `${first}…${email.slice(email.lastIndexOf("@"))}`;
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
  return new PylonError("FORBIDDEN", "You may not grant or revoke a role above your own.", {
    field: "role",
  });
}

function toOrganization({ id, name, createdAt }: RowOf<typeof ORGANIZATIONS>): Organization {
  return { id, name, created_at: isoTime(createdAt) };
}

function toInvitation(row: RowOf<typeof INVITATIONS>): Invitation {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    invited_by: row.invitedBy,
    created_at: isoTime(row.createdAt),
    expires_at: isoTime(row.expiresAt),
  };
}
