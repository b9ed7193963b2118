import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import type { AuthServices } from "../auth-services.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../passwords/password-routes.ts";
import { signedInAnswer } from "../sign-in/sign-in.ts";
import { noOrganization, type Organizations } from "./organizations.ts";
import type { TenantSessions } from "./tenant-sessions.ts";

/** Line ends and other control characters. */
const NO_NAME = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const MAX_IN_MAIL = 60;
const INVITATIONS = { max: 50, windowSeconds: 60 * 60 };
const AUDIT_MAX = 500;
/** A role is a word that can stand in a policy. */
const ROLE = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** Organizations, who is in them, and which of them a session acts in. */
export function organizationRoutes(
  services: AuthServices,
  organizations: Organizations,
  tenants: TenantSessions,
): Route[] {
  const { audit, attempts, mails, sessions, settings, users } = services;

  /** The caller and the organization of the path, which it is a member of. */
  const membership = async (
    context: RequestContext,
  ): Promise<{ readonly id: string; readonly userId: string; readonly role: string }> => {
    const { id: userId } = await ownUser(services, context);
    const id = context.param("id");
    const role = await organizations.role(id, userId);
    if (role === null) throw noOrganization();
    return { id, userId, role };
  };

  const record = (
    context: RequestContext,
    event: string,
    tenantId: string,
    detail: Record<string, string> = {},
  ): Promise<void> => audit.record(context, event, { tenantId, detail });

  const create = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const name = nameOf(await AuthInput.of(context));
    const organization = await organizations.create(name, user.id);
    await record(context, "organization.created", organization.id);
    return json({ ...organization, role: "owner" }, 201);
  };

  const list = async (context: RequestContext): Promise<Answer> =>
    json(await organizations.of((await ownUser(services, context)).id));

  const get = async (context: RequestContext): Promise<Answer> => {
    const { id, role } = await membership(context);
    return json({ ...(await organizations.get(id)), role });
  };

  const rename = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    await organizations.rename(id, userId, nameOf(await AuthInput.of(context)));
    return json({ updated: true });
  };

  const remove = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    await organizations.delete(id, userId);
    await record(context, "organization.deleted", id);
    return json({ deleted: true });
  };

  const members = async (context: RequestContext): Promise<Answer> =>
    json(await organizations.members((await membership(context)).id));

  const setRole = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    const role = roleOf(await AuthInput.of(context));
    await organizations.setRole(id, userId, context.param("user"), role);
    await record(context, "member.role", id, { user: context.param("user"), role });
    return json({ updated: true });
  };

  const removeMember = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    await organizations.remove(id, userId, context.param("user"));
    await record(context, "member.removed", id, { user: context.param("user") });
    return json({ removed: true });
  };

  const invite = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    const input = await AuthInput.of(context);
    const email = input.email();
    const role = roleOf(input, "member");
    mails.require();
    const mailedUrl = settings.origins.mailedUrl(context.request);
    await attempts.count("invitation", userId, INVITATIONS);
    const { token, invitation } = await organizations.invite(id, userId, email, role);
    await record(context, "member.invited", id, { role });
    const inviter = await users.get(userId);
    const name = inviter?.["displayName"] ?? inviter?.["name"];
    const by = typeof name === "string" && name !== "" ? inMail(name) : inviter?.["email"];
    const link = `${mailedUrl}/auth/invitation#token=${token}`;
    await mails.send("invitation", email, {
      link,
      organization: inMail((await organizations.get(id))?.name ?? ""),
      ...(typeof by === "string" ? { inviter: by } : {}),
    });
    return json({ ...invitation, ...(settings.dev ? { dev_token: token } : {}) }, 201);
  };

  const invitations = async (context: RequestContext): Promise<Answer> => {
    const { id, role } = await membership(context);
    if (role !== "owner" && role !== "admin")
      throw new PylonError(
        "FORBIDDEN",
        "Only owners and admins of the organization see its invitations.",
      );
    return json(await organizations.invitations(id));
  };

  const withdraw = async (context: RequestContext): Promise<Answer> => {
    const { id, userId } = await membership(context);
    if (!(await organizations.withdraw(id, userId, context.param("invitation"))))
      throw new PylonError("NOT_FOUND", "There is no such invitation.");
    return json({ deleted: true });
  };

  const accept = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const isVerified = await users.isVerified(user);
    const joined = await organizations.accept(
      context.param("token"),
      user.id,
      isVerified ? String(user["email"]) : "",
    );
    await record(context, "member.joined", joined.id);
    return json(joined);
  };

  const select = async (context: RequestContext): Promise<Answer> => {
    const user = await ownUser(services, context);
    const input = await AuthInput.of(context);
    const tenantId = input.optionalText("org_id") ?? null;
    const session =
      context.identity.sessionId === null ? null : await sessions.get(context.identity.sessionId);
    if (session === null)
      throw new PylonError("AUTH_REQUIRED", "An organization is selected for a session.", {
        hint: "Sign in.",
      });
    const role = tenantId === null ? null : await organizations.role(tenantId, user.id);
    if (tenantId !== null && role === null) throw noOrganization();
    const roles = await tenants.select(session, tenantId, role);
    // Who was taken out meanwhile was not seen in this tenant yet.
    if (tenantId !== null && (await organizations.role(tenantId, user.id)) !== role)
      await tenants.changed(user.id, tenantId, await organizations.role(tenantId, user.id));
    // Not for all: a client that does not look for the new token would be signed out whenever its
    // user changes the organization.
    if (!input.optionalFlag("rotate")) return json({ tenant_id: tenantId, roles });
    return signedInAnswer(await services.signIn.refresh(session.id), 200, {
      tenant_id: tenantId,
      roles,
    });
  };

  const tenantAudit = async (context: RequestContext): Promise<Answer> => {
    const { tenantId, userId } = context.caller;
    const role =
      tenantId === null || userId === null ? null : await organizations.role(tenantId, userId);
    if (tenantId === null || (role !== "owner" && role !== "admin"))
      throw new PylonError(
        "FORBIDDEN",
        "Only owners and admins of the selected organization see its log.",
        { hint: "POST /api/auth/select-org first." },
      );
    return json(await audit.list({ tenantId }, AUDIT_MAX));
  };

  const orgs = "/api/auth/orgs";
  return [
    { method: "POST", path: orgs, body: "small", access: "signed-in", handle: create },
    { method: "GET", path: orgs, access: "signed-in", handle: list },
    { method: "GET", path: `${orgs}/:id`, access: "signed-in", handle: get },
    { method: "PATCH", path: `${orgs}/:id`, body: "small", access: "signed-in", handle: rename },
    { method: "DELETE", path: `${orgs}/:id`, access: "signed-in", handle: remove },
    { method: "GET", path: `${orgs}/:id/members`, access: "signed-in", handle: members },
    // Nobody becomes a member without a yes of their own.
    {
      method: "POST",
      path: `${orgs}/:id/members`,
      body: "small",
      access: "signed-in",
      handle: invite,
    },
    {
      method: "PATCH",
      path: `${orgs}/:id/members/:user`,
      body: "small",
      access: "signed-in",
      handle: setRole,
    },
    {
      method: "DELETE",
      path: `${orgs}/:id/members/:user`,
      access: "signed-in",
      handle: removeMember,
    },
    {
      method: "POST",
      path: `${orgs}/:id/invites`,
      body: "small",
      access: "signed-in",
      handle: invite,
    },
    { method: "GET", path: `${orgs}/:id/invites`, access: "signed-in", handle: invitations },
    {
      method: "DELETE",
      path: `${orgs}/:id/invites/:invitation`,
      access: "signed-in",
      handle: withdraw,
    },
    {
      method: "POST",
      path: "/api/auth/invites/:token/accept",
      body: "small",
      access: "signed-in",
      handle: accept,
    },
    {
      method: "POST",
      path: "/api/auth/select-org",
      body: "small",
      access: "signed-in",
      handle: select,
    },
    { method: "GET", path: "/api/auth/audit/tenant", access: "signed-in", handle: tenantAudit },
  ];
}

/** @throws PylonError MISSING_NAME, INVALID_DATA */
function nameOf(input: AuthInput): string {
  const name = input.text("name", 200);
  if (!NO_NAME.test(name)) return name;
  throw new PylonError("INVALID_DATA", "A name is one line of text.", { field: "name" });
}

/**
 * A name as it may stand in a mail that its reader did not ask for: one short line, in which mail
 * programs find no address to link.
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
  throw new PylonError("INVALID_DATA", "A role is a word of letters, digits, _ and -.", {
    field: "role",
  });
}
