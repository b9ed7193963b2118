import { query, v } from "@pylonsync/functions";
import { codeOf } from "./_code-of.ts";

/**
 * Returns the variables that it can see: its own, those of another function, shared ones and
 * undeclared ones.
 */
export default query({
  args: { names: v.array(v.string()) },
  secrets: ["OWN_KEY", "NOT_SET"],
  handler: async (ctx, { names }) => {
    const secrets: Readonly<Record<string, string>> = ctx.secrets;
    return {
      own: ctx.secrets.OWN_KEY,
      refused: await Promise.all(names.map((name) => codeOf(() => secrets[name]))),
      env: ["OWN_KEY", "OTHERS_KEY", "REGION", "PYLON_ADMIN_TOKEN"].map((name) => ctx.env[name]),
      process: process.env["OTHERS_KEY"],
    };
  },
});
