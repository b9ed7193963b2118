import { http } from "@pylonsync/functions";

/** Runs in the server, and calls a function that may run elsewhere. */
export default http({
  method: "GET",
  path: "/hello/:name",
  handler: async (_request, ctx) =>
    Response.json({
      name: ctx.params["name"],
      here: process.pid,
      there: await ctx.runQuery("rare"),
    }),
});
