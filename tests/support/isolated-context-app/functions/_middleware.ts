import { middleware } from "@pylonsync/functions";

/** Rejects calls, adds to the context, and inspects the handler's result. */
export const withCaller = middleware(async ({ ctx, args, name, next }) => {
  if (ctx.auth.userId === null) throw ctx.error("SIGN_IN_FIRST", "Sign in first.");
  const outcome = await next({ caller: ctx.auth.userId, seen: `${name} ${JSON.stringify(args)}` });
  if (outcome.result === "too late") throw ctx.error("TOO_LATE", "Too late.");
  return outcome;
});
