import { action, mutation, query, v } from "@pylonsync/functions";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { appOf } from "../support/server.ts";

const ItemFields = {
  name: field.string().optional(),
  n: field.int().optional(),
  f: field.float().optional(),
  ok: field.bool().optional(),
  due: field.datetime().optional(),
  code: field.string().optional().unique(),
  text: field.richtext().optional(),
  parentId: field.id("Item").optional(),
  fixed: field.string().readonly().optional(),
  ownerId: field.string().owner().optional(),
  picture: field.file().optional(),
};

/** An app with some of every feature that a request can reach. */
export const fuzzApp = appOf(
  buildManifest({
    name: "fuzz",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        displayName: field.string().optional(),
        emailVerified: field.bool().default(false),
      }),
      entity("Item", ItemFields, {
        relations: [{ name: "parent", target: "Item", field: "parentId" }],
      }),
      entity("Hidden", { text: field.string() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({
        name: "items",
        entity: "Item",
        allow: "true",
        allowDelete: "data.n != 42 && exists(User, id == auth.userId)",
      }),
    ],
    auth: auth({}),
  }),
  {
    echo: query({
      args: {
        text: v.optional(v.string()),
        n: v.optional(v.int()),
        list: v.optional(v.array(v.string())),
        at: v.optional(v.datetime()),
        either: v.optional(v.union(v.int(), v.literal("a"))),
        inner: v.optional(v.object({ a: v.boolean() })),
      },
      handler: (_ctx, args) => ({ args }),
    }),
    search: query({
      args: { filter: v.any(), graph: v.any() },
      handler: async (ctx, { filter, graph }) => ({
        rows: await ctx.db.query("Item", filter as never),
        related: await ctx.db.queryGraph(graph as never),
      }),
    }),
    write: mutation({
      args: { id: v.string(), data: v.any() },
      handler: async (ctx, { id, data }) => {
        await ctx.db.get("Item", id);
        await ctx.db.update("Item", id, data as never);
        return ctx.db.insert("Item", data as never);
      },
    }),
    page: query({
      args: { cursor: v.union(v.string(), v.null()), numItems: v.number() },
      handler: (ctx, options) => ctx.db.paginate("Item", options),
    }),
    hook: action({
      args: { rawBody: v.string() },
      webhook: { methods: ["GET", "POST", "PUT"] },
      handler: (ctx) => ({ size: ctx.request?.rawBody.length ?? 0, path: ctx.request?.path ?? "" }),
    }),
    refuse: action({
      args: {},
      handler: (ctx) => {
        throw ctx.error("REFUSED", "No.");
      },
    }),
  },
);
