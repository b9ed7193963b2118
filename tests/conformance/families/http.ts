import type { Family } from "../check.ts";
import { anything, exactly, expectShape, matching, number, text } from "../shape.ts";

/** The rules of all routes. */
export const http: Family = {
  "GET /health is exactly the status and the uptime": async ({ nobody }) => {
    await nobody.expect(["GET", "/health"], 200, exactly({ status: "ok", uptime_seconds: number }));
  },
  "GET /readyz names the parts of the server": async ({ nobody }) => {
    await nobody.expect(["GET", "/readyz"], 200, {
      status: matching(/^(ready|degraded)$/),
      parts: anything,
    });
  },
  "an answer names its request": async ({ nobody }) => {
    const { headers } = await nobody.request("GET", "/api/auth/me");
    expectShape(headers.get("X-Request-Id"), text);
  },
  "an unknown path is refused with 404, a code and a sentence": async ({ nobody }) => {
    await nobody.refused(["GET", "/api/nothing-here"], 404, { code: "NOT_FOUND" });
  },
  "another method of a path is refused with 405": async ({ ann }) => {
    await ann.refused(["PUT", "/api/entities/Task", {}], 405, { code: "METHOD_NOT_ALLOWED" });
  },
  "a body that is not JSON is refused with 400": async ({ ann }) => {
    await ann.refused(["POST", "/api/entities/Task", '{"title":'], 400, { code: "INVALID_JSON" });
  },
  "an unknown token is refused with 401": async ({ nobody }) => {
    const headers = { Authorization: "Bearer unknown" };
    await nobody.refused(["GET", "/api/entities/Task", undefined, headers], 401, {
      code: "UNAUTHORIZED",
    });
  },
  "a route of the admin is refused to a user with 403": async ({ ann }) => {
    await ann.refused(["GET", "/api/export"], 403, { code: "FORBIDDEN" });
  },
};
