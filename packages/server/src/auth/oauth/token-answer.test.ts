import { expect, test } from "bun:test";
import { tenantOf, toStandardAnswer } from "./token-answer.ts";

async function standard(body: unknown, status = 200, keepsIdToken = true): Promise<unknown[]> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await toStandardAnswer(new Response(text, { status }), keepsIdToken);
  const json: unknown = await answer.json().catch(() => null);
  return [answer.status, json];
}

test("a response gets the missing type, and loses what is not standard", async () => {
  expect(await standard({ access_token: "a", scope: ["x"], id_token: "i" })).toEqual([
    200,
    { token_type: "bearer", access_token: "a", id_token: "i" },
  ]);
  expect(await standard({ access_token: "a", token_type: "Bearer", scope: "x" })).toEqual([
    200,
    { token_type: "Bearer", access_token: "a", scope: "x" },
  ]);
  expect(await standard({ access_token: "a", id_token: "i" }, 200, false)).toEqual([
    200,
    { token_type: "bearer", access_token: "a" },
  ]);
});

test("an error with 200 is one, and a non-JSON response is the provider's fault", async () => {
  expect(await standard({ error: "bad_verification_code" })).toMatchObject([400, {}]);
  expect(await standard({ error: "invalid_grant" }, 401)).toMatchObject([401, {}]);
  expect(await standard("<html>")).toEqual([502, null]);
  expect(await standard([1])).toEqual([502, null]);
});

test("the tenant of an id_token is accepted only in its format", async () => {
  const answer = (claims: unknown): Response => {
    const part = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return Response.json({ id_token: `h.${part}.s` });
  };
  const tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
  expect(await tenantOf(answer({ tid: tenant }))).toBe(tenant);
  expect(await tenantOf(answer({ tid: "../common" }))).toBe("");
  expect(await tenantOf(Response.json({ id_token: "h.!.s" }))).toBe("");
  expect(await tenantOf(Response.json({}))).toBe("");
});
