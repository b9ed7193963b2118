import { expect, test } from "bun:test";
import { query, type FnDefinition } from "./definition.ts";
import { callHandler, middleware, type AnyMiddleware } from "./middleware.ts";
import { checkFunctionOptions } from "./options.ts";

const run = async (definition: FnDefinition, ctx: object = {}, args: unknown = {}) =>
  callHandler("it", definition, ctx, args);

test("middleware runs around the handler in order, and adds to its context", async () => {
  const told: string[] = [];
  const layer = (name: string) =>
    middleware(async ({ next }) => {
      told.push(`${name} in`);
      const outcome = await next({ [name]: name });
      told.push(`${name} out ${String(outcome.result)}`);
      return outcome;
    });
  const definition = query({
    middleware: [layer("a"), layer("b")],
    handler: (ctx) => {
      told.push(`handler ${Object.keys(ctx).join()}`);
      return "done";
    },
  });
  expect(await run(definition, { base: 1 })).toBe("done");
  expect(told).toEqual(["a in", "b in", "handler base,a,b", "b out done", "a out done"]);
});

test("a middleware may skip the handler, and sees the errors of the rest", async () => {
  let runs = 0;
  const refuses = middleware(async () => {
    throw new Error("no");
  });
  const handler = () => (runs += 1);
  await expect(run(query({ middleware: [refuses], handler }))).rejects.toThrow("no");
  expect(runs).toBe(0);
  let seen: unknown;
  const watches = middleware(async ({ next }) => {
    try {
      return await next();
    } catch (error) {
      seen = error;
      throw error;
    }
  });
  const fails = query({
    middleware: [watches],
    handler: () => {
      throw new Error("bug");
    },
  });
  await expect(run(fails)).rejects.toThrow("bug");
  await Promise.resolve();
  expect(seen).toBeInstanceOf(Error);
});

test("a middleware continues once, and returns the result of that", async () => {
  const twice = middleware(async ({ next }) => {
    await next();
    return next();
  });
  await expect(run(query({ middleware: [twice], handler: () => 1 }))).rejects.toThrow(
    "next only once",
  );
  const other = (async () => 5) as unknown as AnyMiddleware;
  const definition: FnDefinition = { type: "query", middleware: [other], handler: () => 1 };
  await expect(run(definition)).rejects.toThrow(
    'A middleware of "it" must return the result of next()',
  );
});

test("a getter of the context is only read by code that uses it", async () => {
  let looks = 0;
  const ctx = Object.defineProperty({}, "auth", {
    enumerable: true,
    get: () => (looks += 1),
  });
  const adds = middleware(async ({ next }) => next({ more: 1 }));
  await run(query({ middleware: [adds], handler: () => 1 }), ctx);
  expect(looks).toBe(0);
  await run(query({ middleware: [adds], handler: (context) => context.auth }), ctx);
  expect(looks).toBe(1);
});

test.each([
  [{ auth: 5 }, "auth must be"],
  [{ auth: "" }, "auth must be"],
  [{ auth: { roles: [] } }, "auth.roles"],
  [{ auth: { role: "a", roles: ["a"] } }, '"role"'],
  [{ rateLimit: { max: 0, windowSecs: 1 } }, "rateLimit.max"],
  [{ rateLimit: { max: 1.5, windowSecs: 1 } }, "rateLimit.max"],
  [{ rateLimit: { max: 1 } }, "rateLimit.windowSecs"],
  [{ rateLimit: { max: 1, windowSecs: 1, by: "ip" } }, "rateLimit.by"],
  [{ rateLimit: { max: 1, windowSecs: 1, per: "ip" } }, '"per"'],
  [{ timeoutSecs: 0 }, "timeoutSecs"],
  [{ timeoutSecs: 3601 }, "timeoutSecs"],
  [{ timeoutSecs: "30s" }, "timeoutSecs"],
  [{ middleware: [{}] }, "middleware"],
  [{ secrets: "KEY" }, "secrets"],
  [{ internal: "yes" }, "internal"],
])("the options %j are rejected when the function is defined", (options, named) => {
  expect(() => checkFunctionOptions(options)).toThrow(named);
});
