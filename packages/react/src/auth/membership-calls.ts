import { parseAnswer } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";
import type { UserOrganization } from "./organization-calls.ts";

/** A member of an organization. Names are in the rows of the app's users. */
export interface OrganizationMember {
  readonly userId: string;
  /** `owner`, `admin`, `member`, or a role of the app, which ranks as `member`. */
  readonly role: string;
}

/** An invitation that has not been accepted yet. */
export interface OrganizationInvitation {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  /** An ISO 8601 time. */
  readonly expiresAt: string;
}

const MemberSchema = v.pipe(
  v.object({ user_id: v.string(), role: v.string() }),
  v.transform(({ user_id: userId, role }): OrganizationMember => ({ userId, role })),
);
const InvitationSchema = v.pipe(
  v.object({ id: v.string(), email: v.string(), role: v.string(), expires_at: v.string() }),
  v.transform(({ expires_at: expiresAt, ...rest }): OrganizationInvitation => ({
    ...rest,
    expiresAt,
  })),
);
const JoinedSchema = v.object({ id: v.string(), name: v.string(), role: v.string() });

const pathOf = (...names: readonly string[]): string =>
  `/api/auth/orgs/${names.map(encodeURIComponent).join("/")}`;

/**
 * Lists the members of an organization, for its members.
 *
 * @throws PylonClientError
 * @example
 * const owners = (await listMembers("acme")).filter(({ role }) => role === "owner");
 */
export async function listMembers(
  organizationId: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<readonly OrganizationMember[]> {
  const answer = await sync.request("GET", pathOf(organizationId, "members"));
  return parseAnswer(v.array(MemberSchema), answer);
}

/**
 * Changes the role of a member, for owners and admins, up to their own rank.
 *
 * @throws PylonClientError FORBIDDEN, LAST_OWNER
 * @example
 * await setMemberRole("acme", "u1", "admin");
 */
export async function setMemberRole(
  organizationId: string,
  userId: string,
  role: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("PATCH", pathOf(organizationId, "members", userId), { role });
}

/**
 * Ends the membership of a user: of others for owners and admins, one's own for everybody.
 *
 * @throws PylonClientError FORBIDDEN, LAST_OWNER
 * @example
 * await removeMember("acme", "u1");
 */
export async function removeMember(
  organizationId: string,
  userId: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", pathOf(organizationId, "members", userId));
}

/**
 * Mails an invitation, for owners and admins. Its link leads to the server's page for it.
 *
 * @param role default `member`
 * @throws PylonClientError FORBIDDEN, INVALID_EMAIL
 * @example
 * const { expiresAt } = await inviteMember("acme", "ben@example.com", "admin");
 */
export async function inviteMember(
  organizationId: string,
  email: string,
  role?: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<OrganizationInvitation> {
  const body = { email, ...(role !== undefined && { role }) };
  const answer = await sync.request("POST", pathOf(organizationId, "invites"), body);
  return parseAnswer(InvitationSchema, answer);
}

/**
 * Lists the invitations that have not been accepted yet, for owners and admins.
 *
 * @throws PylonClientError FORBIDDEN
 * @example
 * const addresses = (await listInvitations("acme")).map(({ email }) => email);
 */
export async function listInvitations(
  organizationId: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<readonly OrganizationInvitation[]> {
  const answer = await sync.request("GET", pathOf(organizationId, "invites"));
  return parseAnswer(v.array(InvitationSchema), answer);
}

/**
 * Withdraws an invitation, for owners and admins.
 *
 * @throws PylonClientError FORBIDDEN, NOT_FOUND
 * @example
 * for (const { id } of await listInvitations("acme")) await withdrawInvitation("acme", id);
 */
export async function withdrawInvitation(
  organizationId: string,
  invitationId: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("DELETE", pathOf(organizationId, "invites", invitationId));
}

/**
 * Accepts an invitation, for an app with a page of its own for the link.
 *
 * @param token that of the link
 * @throws PylonClientError INVALID_TOKEN, EMAIL_NOT_VERIFIED
 * @example
 * const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
 * const { id } = await acceptInvitation(token);
 * await selectOrganization(id);
 */
export async function acceptInvitation(
  token: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<UserOrganization> {
  const path = `/api/auth/invites/${encodeURIComponent(token)}/accept`;
  return parseAnswer(JoinedSchema, await sync.request("POST", path));
}
