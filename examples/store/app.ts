import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const Product = entity("Product", {
  name: field.string().unique(),
  cents: field.int(),
  stock: field.int(),
});

/** `runId` is the run of the workflow that ships it, which the order's owner can follow. */
const Order = entity(
  "Order",
  {
    product: field.string(),
    status: field.enum(["placed", "packed", "shipped", "delivered", "lost"]).default("placed"),
    runId: field.string().optional(),
    ownerId: field.string().owner(),
  },
  {
    timestamps: true,
    indexes: [
      { name: "by_owner", fields: ["ownerId"], unique: false },
      { name: "by_change", fields: ["updatedAt"], unique: false },
    ],
  },
);

/** The time up to which the shop's owner was informed about orders. */
const Digest = entity("Digest", { upTo: field.datetime() });

export default buildManifest({
  name: "store",
  version: "0.1.0",
  entities: [Product, Order, Digest],
  // Only functions write, so that stock and orders stay consistent.
  policies: [
    policy({ name: "products", entity: "Product", allowRead: "true", allowWrite: "false" }),
    policy({
      name: "own_orders",
      entity: "Order",
      allowRead: "auth.userId == data.ownerId",
      allowWrite: "false",
    }),
    policy({ name: "digests", entity: "Digest", allow: "false" }),
  ],
  crons: [{ name: "digest", schedule: "0 2 * * *", function: "sendDigest" }],
  queues: { imports: { perKey: { concurrency: 1 } } },
});
