import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Transaction } from "../../store/store.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../users/own-user.ts";
import { signedInAnswer } from "../sessions/signed-in.ts";
import type { AppMembers } from "./app-members.ts";
import { noOrganization, type Organizations } from "./organizations.ts";
import type { TenantSessions } from "./tenant-sessions.ts";

/** Line breaks and other control characters. */
const NO_NAME = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const MAX_IN_MAIL = 60;
const INVITATIONS = { max: 50, windowSeconds: 60 * 60 };
const PREVIEWS = { max: 50, windowSeconds: 15 * 60 };
const MAX_AUDIT = 500;
/** A role is a word that can be used in a policy. */
const ROLE = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** The services that the organization routes need. */
export interface OrganizationServices extends AuthServices {
  readonly organizations: Organizations;
  readonly tenants: TenantSessions;
  readonly appMembers: AppMembers;
}

/** The routes of organizations, their members, and the organization that a session acts in. */
export function organizationRoutes(services: OrganizationServices): Route[] {
  const { get, post, patch, del } = routeTable(services);
  const orgs = "/api/auth/orgs";
  return [
    post(orgs, "signed-in", create),
    get(orgs, "signed-in", list),
    get(`${orgs}/:id`, "signed-in", show),
    patch(`${orgs}/:id`, "signed-in", rename),
    del(`${orgs}/:id`, "signed-in", remove),
    get(`${orgs}/:id/members`, "signed-in", members),
    // A user becomes a member only by accepting an invitation.
    post(`${orgs}/:id/members`, "signed-in", invite),
    patch(`${orgs}/:id/members/:user`, "signed-in", setRole),
    del(`${orgs}/:id/members/:user`, "signed-in", removeMember),
    post(`${orgs}/:id/invites`, "signed-in", invite),
    get(`${orgs}/:id/invites`, "signed-in", invitations),
    del(`${orgs}/:id/invites/:invitation`, "signed-in", withdraw),
    get("/api/auth/invites/:token", "anyone", preview),
    post("/api/auth/invites/:token/accept", "signed-in", accept),
    post("/api/auth/select-org", "signed-in", select),
    get("/api/auth/audit/tenant", "signed-in", tenantAudit),
  ];
}

/** Returns the caller's membership in the organization of the path. */
async function membership(
  services: OrganizationServices,
  context: RequestContext,
): Promise<{ readonly id: string; readonly userId: string; readonly role: string }> {
  const { organizations } = services;
  const { id: userId } = await ownUser(services, context);
  const id = context.param("id");
  const role = await organizations.role(id, userId);
  if (role === null) throw noOrganization();
  return { id, userId, role };
}

function record(
  { audit }: OrganizationServices,
  context: RequestContext,
  event: string,
  tenantId: string,
  detail: Record<string, string> = {},
): Promise<void> {
  return audit.record(context, event, { tenantId, detail });
}

async function create(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const user = await ownUser(services, context);
  const name = nameOf(await AuthInput.of(context));
  const organization = await organizations.create(name, user.id);
  await record(services, context, "organization.created", organization.id);
  return json({ ...organization, role: "owner" }, 201);
}

async function list(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  return json(await organizations.of((await ownUser(services, context)).id));
}

async function show(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const { id, role } = await membership(services, context);
  return json({ ...(await organizations.get(id)), role });
}

async function rename(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const { id, userId } = await membership(services, context);
  await organizations.rename(id, userId, nameOf(await AuthInput.of(context)));
  return json({ updated: true });
}

async function remove(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const { id, userId } = await membership(services, context);
  await organizations.delete(id, userId);
  await record(services, context, "organization.deleted", id);
  return json({ deleted: true });
}

async function members(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  return json(await organizations.members((await membership(services, context)).id));
}

async function setRole(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const { id, userId } = await membership(services, context);
  const role = roleOf(await AuthInput.of(context));
  await organizations.setRole(id, userId, context.param("user"), role);
  await record(services, context, "member.role", id, { user: context.param("user"), role });
  return json({ updated: true });
}

async function removeMember(
  services: OrganizationServices,
  context: RequestContext,
): Promise<Answer> {
  const { organizations } = services;
  const { id, userId } = await membership(services, context);
  await organizations.remove(id, userId, context.param("user"));
  await record(services, context, "member.removed", id, { user: context.param("user") });
  return json({ removed: true });
}

async function invite(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { attempts, mails, organizations, settings, users } = services;
  const { id, userId } = await membership(services, context);
  const input = await AuthInput.of(context);
  const email = input.email();
  const role = roleOf(input, "member");
  mails.require();
  const mailedUrl = settings.origins.mailedUrl(context.request);
  await attempts.count("invitation", userId, INVITATIONS);
  const inviter = await users.get(userId);
  const name = inviter?.["displayName"] ?? inviter?.["name"];
  const by = typeof name === "string" && name !== "" ? inMail(name) : inviter?.["email"];
  const names = {
    organization: inMail((await organizations.get(id))?.name ?? ""),
    ...(typeof by === "string" ? { inviter: by } : {}),
  };
  const mail = (tx: Transaction, secret: string): Promise<void> =>
    mails.add(tx, "invitation", email, {
      link: `${mailedUrl}/auth/invitation#token=${secret}`,
      ...names,
    });
  const { token, invitation } = await organizations.invite(id, userId, email, role, mail);
  mails.wake();
  await record(services, context, "member.invited", id, { role });
  return json({ ...invitation, ...(settings.dev ? { dev_token: token } : {}) }, 201);
}

async function invitations(
  services: OrganizationServices,
  context: RequestContext,
): Promise<Answer> {
  const { organizations } = services;
  const { id, role } = await membership(services, context);
  if (role !== "owner" && role !== "admin")
    throw new PylonError(
      "FORBIDDEN",
      "Only owners and admins of the organization may list its invitations.",
    );
  return json(await organizations.invitations(id));
}

async function withdraw(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations } = services;
  const { id, userId } = await membership(services, context);
  if (!(await organizations.withdraw(id, userId, context.param("invitation"))))
    throw new PylonError("NOT_FOUND", "There is no such invitation.");
  return json({ deleted: true });
}

async function preview(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { attempts, organizations } = services;
  await attempts.countFrom("invitation preview", context.address, PREVIEWS);
  return json(await organizations.preview(context.param("token")));
}

async function accept(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { organizations, users } = services;
  const user = await ownUser(services, context);
  const joined = await organizations.accept(context.param("token"), {
    id: user.id,
    email: String(user["email"]),
    isVerified: await users.isVerified(user),
  });
  await record(services, context, "member.joined", joined.id);
  return json(joined);
}

/** A user's membership in an organization; the role is null if the app stores the members. */
interface Place {
  readonly role: string | null;
}

/** @returns null for a user who is not a member */
async function placeOf(
  { organizations, appMembers, store }: OrganizationServices,
  tenantId: string,
  userId: string,
): Promise<Place | null> {
  const role = await organizations.role(tenantId, userId);
  if (role !== null) return { role };
  return (await appMembers.has(store, tenantId, userId)) ? { role: null } : null;
}

async function select(services: OrganizationServices, context: RequestContext): Promise<Answer> {
  const { sessions, tenants, appMembers } = services;
  const input = await AuthInput.of(context);
  const tenantId = input.textOrNull("orgId", ["org_id"]);
  const session =
    context.identity.sessionId === null ? null : await sessions.get(context.identity.sessionId);
  if (session === null)
    throw new PylonError("AUTH_REQUIRED", "Selecting an organization requires a session.", {
      hint: "Sign in.",
    });
  const { userId } = session;
  const place = tenantId === null ? null : await placeOf(services, tenantId, userId);
  if (tenantId !== null && place === null)
    throw appMembers.isDeclared ? notAMember() : noOrganization();
  const roles = await tenants.select(session, tenantId, place?.role ?? null);
  if (tenantId !== null) {
    // A removal in the meantime did not see this session in the tenant yet.
    const now = await placeOf(services, tenantId, userId);
    if (now === null) await tenants.changed(userId, tenantId, null);
    else if (now.role !== place?.role) await tenants.changed(userId, tenantId, now.role);
  }
  // The tenant has both names, for older clients.
  const selected = { tenant_id: tenantId, tenantId, roles };
  // Only on request: a client that does not read the new token would be signed out whenever its
  // user changes the organization.
  if (!input.optionalFlag("rotate")) return json(selected);
  return signedInAnswer(await services.signIn.refresh(session.id), 200, selected);
}

function notAMember(): PylonError {
  return new PylonError("NOT_A_MEMBER", "You are not a member of this organization.", {
    hint: "To become a member, you need a row of OrgMember with your userId and this orgId.",
  });
}

async function tenantAudit(
  { audit, organizations }: OrganizationServices,
  context: RequestContext,
): Promise<Answer> {
  const { tenantId, userId } = context.caller;
  const role =
    tenantId === null || userId === null ? null : await organizations.role(tenantId, userId);
  if (tenantId === null || (role !== "owner" && role !== "admin"))
    throw new PylonError(
      "FORBIDDEN",
      "Only owners and admins of the selected organization may read its log.",
      { hint: "Call POST /api/auth/select-org first." },
    );
  return json(await audit.list({ tenantId }, MAX_AUDIT));
}

/** @throws PylonError MISSING_NAME, INVALID_DATA */
function nameOf(input: AuthInput): string {
  const name = input.text("name", 200);
  if (!NO_NAME.test(name)) return name;
  throw new PylonError("INVALID_DATA", "The name must be a single line of text.", {
    field: "name",
  });
}

/**
 * Returns a name as it may appear in a mail that its reader did not request: one short line, in
 * which mail programs find no address to link.
 */
function inMail(name: string): string {
  const line = name.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  const short =
    line.length > MAX_IN_MAIL ? `${line.slice(0, MAX_IN_MAIL).toWellFormed()}...` : line;
  return short.replaceAll(/[.:/@](?=\S)/g, "$&\u200B");
}

function roleOf(input: AuthInput, fallback?: string): string {
  const role =
    fallback === undefined ? input.text("role", 64) : (input.optionalText("role", 64) ?? fallback);
  if (ROLE.test(role)) return role;
  throw new PylonError("INVALID_DATA", "A role must be a word of letters, digits, _ and -.", {
    field: "role",
  });
}
