import { afterAll, beforeAll, expect, test } from "bun:test";
import { noteApp, type Result } from "./testing/pylon-process.ts";
import { ServedApp } from "./testing/served-app.ts";

let app: ServedApp;

beforeAll(async () => {
  app = await ServedApp.start({
    "app.ts": noteApp("text: field.string()"),
    "functions/who.ts": `
      import { internalQuery, v } from "@pylonsync/functions";
      export default internalQuery({
        args: { n: v.int() },
        handler: (ctx, { n }) => {
          if (n < 0) throw ctx.error("TOO_SMALL", "n is too small.");
          return { userId: ctx.auth.userId, isAdmin: ctx.auth.isAdmin, n };
        },
      });`,
    "functions/rights.ts": `
      import { query } from "@pylonsync/functions";
      export default query({
        auth: { roles: ["editor"] },
        handler: ({ auth: { userId, roles, tenantId } }) => ({ userId, roles, tenantId }),
      });`,
  });
});
afterAll(() => app[Symbol.asyncDispose]());

const runFunction = (...args: string[]): Promise<Result> => app.run("run", ...args);

test("run calls a function as the admin, or as the user that --as names", async () => {
  const asAdmin = await runFunction("who", '{"n": 1}');
  expect(asAdmin.stderr).toBe("");
  expect(JSON.parse(asAdmin.stdout)).toEqual({ userId: null, isAdmin: true, n: 1 });
  const asAnn = await runFunction("who", '{"n": 2}', "--as", "ann", "--json");
  expect(JSON.parse(asAnn.stdout)).toMatchObject({
    code: "RUN_OK",
    result: { userId: "ann", isAdmin: false, n: 2 },
  });
});

test("run calls a function with the roles that --as names, as if the user had them", async () => {
  const editor = { userId: "ann", roles: ["editor"], tenantId: "t1" };
  const { stdout } = await runFunction("rights", "{}", "--as", JSON.stringify(editor));
  expect(JSON.parse(stdout)).toEqual(editor);
  expect((await runFunction("rights", "{}", "--as", '{"userId": "ann"}')).stderr).toContain(
    'You may not call "rights".',
  );
  expect((await runFunction("rights", "{}", "--as", "{ann}")).stderr).toContain("is not JSON");
});

test("run explains an error, and fails", async () => {
  expect((await runFunction("who", '{"n": -1}')).stderr).toContain("n is too small.");
  expect((await runFunction("who", '{"n": 1.5}')).stderr).toContain("n: expected int");
  expect((await runFunction("nothing")).stderr).toContain('The function "nothing" does not exist.');
  const notJson = await runFunction("who", "{n: 1}");
  expect(notJson.exitCode).not.toBe(0);
  expect(notJson.stderr).toContain("The text is not JSON");
});

test.each([
  [{ function: 5 }, "function"],
  [{ function: "who", as: "" }, "as"],
  [{ function: "who", as: { userId: "ann", roles: "editor" } }, "as"],
  [{ function: "who", as: {} }, "as"],
  [{ function: "who", asUser: "ann" }, "asUser"],
  [[], "body"],
])("POST /api/run rejects %j by its field", async (body, field) => {
  const ask = (token: string): Promise<Response> =>
    fetch(`${app.url}/api/run`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  const answer = await ask(app.env.PYLON_ADMIN_TOKEN);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { code: "INVALID_ARGS", field } });
});

test("POST /api/run is only for the admin", async () => {
  const body = JSON.stringify({ function: "who", args: { n: 1 }, as: "ann" });
  const nobody = await fetch(`${app.url}/api/run`, { method: "POST", body });
  expect(nobody.status).toBe(403);
});

test("cache stores a value of ctx.cache, shows it and deletes it", async () => {
  const cache = (...args: string[]): Promise<Result> => app.run("cache", ...args);
  expect((await cache("set", "top/10", '["a"]', "--ttl", "60")).stdout).toContain("60 seconds");
  const shown = await cache("get", "top/10", "--json");
  expect(JSON.parse(shown.stdout)).toEqual({ key: "top/10", value: ["a"] });
  expect((await cache("delete", "top/10")).exitCode).toBe(0);
  expect((await cache("get", "top/10")).stderr).toContain("The key is not in the cache");
  expect((await cache("set", "k", "1", "--ttl", "soon")).stderr).toContain(
    "--ttl must be a number",
  );
});

test("explain shows what policies allow a user, and how the rows are found", async () => {
  const explain = (...args: string[]): Promise<Result> => app.run("explain", ...args);
  const { stdout } = await explain("Note", "--as", "ann");
  expect(stdout).toContain("Access of the user ann to Note:");
  expect(stdout).toMatch(/^read: allowed$/m);
  expect(stdout).toContain('FROM "Note"');
  const asJson = await explain("Note", "--as", '{"userId": null, "roles": ["x"]}', "--json");
  expect(JSON.parse(asJson.stdout)).toMatchObject({ entity: "Note", caller: { roles: ["x"] } });
  expect((await explain("Nota")).stderr).toContain("Nota");
  expect((await explain("Note", "--as", "{ann}")).stderr).toContain("not JSON");
});
