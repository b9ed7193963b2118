import { Caller } from "../caller.ts";
import { adminOf, Skipped, type Family, type Wire } from "../check.ts";
import { during } from "../during.ts";
import { anything, expectShape, holding, matching, number, text, type Fields } from "../shape.ts";

const PASSWORD = "a long word for the conformance kit";

/** Guests, sessions, passwords, and organizations. */
export const authentication: Family = {
  "a guest has a token and an id": async ({ nobody }) => {
    await nobody.expect(["POST", "/api/auth/guest"], 201, {
      token: text,
      user_id: text,
      expires_at: number,
      guest: true,
    });
  },
  "me tells who the token stands for": async ({ ann }) => {
    await ann.expect(["GET", "/api/auth/me"], 200, {
      user_id: ann.userId,
      is_admin: false,
      is_guest: true,
      roles: [],
    });
  },
  "me tells nobody without a token, and a dead token": async ({ nobody, url }) => {
    await nobody.expect(["GET", "/api/auth/me"], 200, { user_id: null });
    const dead = new Caller(url, "unknown");
    await dead.expect(["GET", "/api/auth/me"], 200, { user_id: null, token_valid: false });
  },
  "me tells the admin": async (wire) => {
    await adminOf(wire).expect(["GET", "/api/auth/me"], 200, { is_admin: true });
  },
  "sessions are listed, and one that has ended is refused": async ({ guest, url }) => {
    const user = await guest();
    const { body } = await user.request("GET", "/api/auth/sessions");
    expectShape(body, [anything]);
    await user.expect(["DELETE", "/api/auth/session"], 200);
    await user.refused(["GET", "/api/entities/Task"], 401, { code: "UNAUTHORIZED" });
    await new Caller(url, user.token).expect(["GET", "/api/auth/me"], 200, { user_id: null });
  },
  "a refresh gives another token, and ends the one before": async ({ guest, url }) => {
    const user = await guest();
    const { token } = await user.expect(["POST", "/api/auth/refresh"], 200, {
      token: text,
      user_id: user.userId,
      expires_at: number,
    });
    await new Caller(url, String(token)).expect(["GET", "/api/auth/me"], 200, {
      user_id: user.userId,
    });
    await user.expect(["GET", "/api/auth/me"], 200, { token_valid: false });
  },
  "a session that ends closes its socket": async ({ guest }) => {
    const user = await guest();
    await during(await user.socket("?since=0"), async ({ messages }) => {
      await messages.next({ type: "hello" });
      await user.expect(["DELETE", "/api/auth/session"], 200);
      expectShape(await messages.ended(), matching(/^4401/));
    });
  },
  "a user who registered by password can sign in, and has a row": async (wire) => {
    const { email, userId } = await registered(wire);
    const { token } = await wire.nobody.expect(
      ["POST", "/api/auth/password/login", { email, password: PASSWORD }],
      200,
      { token: text, user_id: userId, expires_at: number },
    );
    const user = new Caller(wire.url, String(token), userId);
    await user.expect(["GET", `/api/entities/User/${userId}`], 200, { email });
    await user.expect(["GET", "/api/auth/session"], 200, { session: anything, user: { email } });
  },
  "a wrong password is refused with 401": async (wire) => {
    const { email } = await registered(wire);
    const body = { email, password: "another long word altogether" };
    await wire.nobody.refused(["POST", "/api/auth/password/login", body], 401, {
      code: "INVALID_CREDENTIALS",
    });
  },
  "a weak password is refused": async ({ nobody, unique }) => {
    const body = { email: `${unique("weak")}@example.com`, password: "short" };
    await nobody.refused(["POST", "/api/auth/password/register", body], 400, {
      code: "WEAK_PASSWORD",
    });
  },
  "providers are a list": async ({ nobody }) => {
    const { status, body } = await nobody.request("GET", "/api/auth/providers");
    expectShape({ status, isList: Array.isArray(body) }, { status: 200, isList: true });
  },
  "an organization is made, selected, and left": async (wire) => {
    const { user } = await registered(wire);
    const { id } = await user.expect(["POST", "/api/auth/orgs", { name: "Acme" }], 201, {
      id: text,
    });
    const { body } = await user.request("GET", "/api/auth/orgs");
    expectShape(body, holding({ id: String(id), name: "Acme" }));
    await user.expect(["POST", "/api/auth/select-org", { orgId: id }], 200, {
      tenantId: String(id),
    });
    await user.expect(["GET", "/api/auth/me"], 200, { tenant_id: String(id) });
    await user.expect(["POST", "/api/auth/select-org", { orgId: null }], 200, { tenantId: null });
    await user.refused(["POST", "/api/auth/select-org", {}], 400, { code: "MISSING_ORG_ID" });
    const { user: stranger } = await registered(wire);
    await stranger.refused(["POST", "/api/auth/select-org", { orgId: id }], 404, {
      code: "NOT_FOUND",
    });
  },
  "a JWT for other services has three parts": async ({ ann }) => {
    const { status, body } = await ann.request("POST", "/api/auth/jwt");
    if (status === 503 || status === 404) throw new Skipped("no PYLON_JWT_SECRET there");
    expectShape(
      { status, body },
      { status: 200, body: { token: matching(/^[^.]+\.[^.]+\.[^.]+$/), expires_at: anything } },
    );
  },
};

interface Registered {
  readonly email: string;
  readonly userId: string;
  readonly user: Caller;
}

/**
 * Registers a user with a password.
 * @throws Skipped if only a mail has the code
 */
async function registered({ nobody, unique, url }: Wire): Promise<Registered> {
  const email = `${unique("user")}@example.com`;
  const body = { email, password: PASSWORD, displayName: "Kit" };
  const first = await nobody.expect(["POST", "/api/auth/password/register", body], 200);
  const session = first["verification_required"] === true ? await confirmed(nobody, first) : first;
  expectShape(session, { token: text, user_id: text, expires_at: number });
  const userId = String(session["user_id"]);
  return { email, userId, user: new Caller(url, String(session["token"]), userId) };
}

async function confirmed(nobody: Caller, first: Fields): Promise<Fields> {
  const { email, sign_up_token, dev_code: code } = first;
  if (code === undefined) throw new Skipped("the code is in a mail: use a server in dev mode");
  const body = { email, code, sign_up_token };
  return nobody.expect(["POST", "/api/auth/password/register/confirm", body], 200);
}
