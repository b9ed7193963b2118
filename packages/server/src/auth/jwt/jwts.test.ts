import { expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { decodeJwt, SignJWT } from "jose";
import { createServer, loadConfig, type PylonServer } from "../../index.ts";

const SECRET = "a secret that other services know, too";

async function serve(env: Record<string, string>): Promise<PylonServer> {
  const manifest = buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [entity("Item", { name: field.string() })],
  });
  const values = {
    PYLON_PORT: "0",
    PYLON_HOST: "127.0.0.1",
    PYLON_IN_MEMORY: "1",
    PYLON_LOG_LEVEL: "error",
    ...env,
  };
  const server = createServer({
    app: {
      dir: ".",
      manifest,
      manifestModule: manifest,
      functions: new Map(),
      workflows: new Map(),
      shards: new Map(),
      web: null,
      diagnostics: [],
    },
    config: loadConfig(values),
  });
  await server.start();
  return server;
}

async function ask(
  server: PylonServer,
  method: string,
  path: string,
  token?: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(server.url + path, {
    method,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("a JWT acts as its session, is read with the secret, and ends with the session", async () => {
  const server = await serve({ PYLON_JWT_SECRET: SECRET });
  try {
    const { token, user_id: userId } = (await ask(server, "POST", "/api/auth/guest")).body as {
      token: string;
      user_id: string;
    };
    const { body } = await ask(server, "POST", "/api/auth/jwt", token);
    const jwt = body["token"] as string;
    expect(decodeJwt(jwt)).toMatchObject({
      sub: userId,
      aud: "shop",
      roles: [],
      exp: body["expires_at"],
    });
    expect((body["expires_at"] as number) - Date.now() / 1000).toBeLessThanOrEqual(15 * 60);
    expect((await ask(server, "GET", "/api/auth/me", jwt)).body["user_id"]).toBe(userId);
    const { sid } = decodeJwt(jwt) as { sid: string };
    const forge = (secret: string, alg: string, claims: object): Promise<string> =>
      new SignJWT({ sub: userId, sid, ...claims })
        .setProtectedHeader({ alg })
        .setAudience("shop")
        .setExpirationTime("5m")
        .sign(new TextEncoder().encode(secret));
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${jwt.split(".")[1]}.`;
    const forged = [
      none,
      jwt.slice(0, -2),
      await forge("another secret of thirty-two characters", "HS256", {}),
      await forge(SECRET, "HS512", {}),
      await forge(SECRET, "HS256", { sub: "somebody" }),
      await forge(SECRET, "HS256", { sid: "x" }),
    ];
    for (const bad of forged)
      expect((await ask(server, "GET", "/api/auth/session", bad)).status).toBe(401);
    await ask(server, "DELETE", "/api/auth/session", token);
    expect((await ask(server, "GET", "/api/auth/session", jwt)).status).toBe(401);
  } finally {
    await server.stop();
  }
});

test("T19: a JWT acts as its user, but gets no session, key or JWT, and ends nothing", async () => {
  const server = await serve({ PYLON_JWT_SECRET: SECRET });
  try {
    const { token } = (await ask(server, "POST", "/api/auth/guest")).body as { token: string };
    const jwt = (await ask(server, "POST", "/api/auth/jwt", token)).body["token"] as string;
    const closed = [
      "POST /api/auth/refresh",
      "POST /api/auth/jwt",
      "POST /api/auth/api-keys",
      "GET /api/auth/sessions",
      "DELETE /api/auth/session",
      "DELETE /api/auth/sessions",
      "DELETE /api/auth/account",
      "GET /api/auth/account/export",
    ];
    for (const route of closed) {
      const [method = "", path = ""] = route.split(" ");
      expect([route, await ask(server, method, path, jwt)]).toMatchObject([
        route,
        { status: 403, body: { error: { code: "INSUFFICIENT_SCOPE" } } },
      ]);
    }
    expect((await ask(server, "GET", "/api/sync/pull", jwt)).status).toBe(200);
    expect((await ask(server, "GET", "/api/auth/me", token)).status).toBe(200);
  } finally {
    await server.stop();
  }
});

test("without a secret there are no JWTs, and the response says what is missing", async () => {
  const server = await serve({});
  try {
    const { token } = (await ask(server, "POST", "/api/auth/guest")).body as { token: string };
    expect(await ask(server, "POST", "/api/auth/jwt", token)).toMatchObject({
      status: 503,
      body: { error: { code: "JWT_NOT_CONFIGURED", hint: "Set PYLON_JWT_SECRET." } },
    });
  } finally {
    await server.stop();
  }
});
