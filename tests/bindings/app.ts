import { mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf } from "../support/server.ts";

/** The app that the conformance suite of the bindings runs against. */
export const app = appOf(
  buildManifest({
    name: "bindings",
    version: "1.0.0",
    access: "public",
    entities: [
      entity(
        "Todo",
        { title: field.string(), done: field.bool(), due: field.datetime().optional() },
        { search: { fields: ["title"], facets: ["done"] } },
      ),
      entity("Other", { title: field.string() }),
    ],
  }),
  {
    titles: query({
      args: { like: v.string() },
      handler: async (ctx, { like }) =>
        (await ctx.db.query("Todo", { title: { $like: like } })).map(({ title }) => title),
    }),
    shout: mutation({
      args: { text: v.string() },
      handler: async (ctx, { text }) => {
        if (text === "") throw ctx.error("SILENT", "There is nothing to shout.");
        return text.toUpperCase();
      },
    }),
  },
);
