// A shop, written like apps of the public system. Calls that its handlers schedule advance an
// order.
import { auth, buildManifest, entity, field, policy, type AppManifest } from "@pylonsync/sdk";

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string(),
  avatarColor: field.string(),
  passwordHash: field.string(),
  createdAt: field.datetime(),
});

const Product = entity(
  "Product",
  {
    name: field.string(),
    brand: field.string(),
    color: field.string(),
    price: field.float(),
    stock: field.int(),
    isNew: field.boolean(),
    about: field.richtext().crdt("text").optional(),
    createdAt: field.datetime(),
  },
  { indexes: [{ name: "by_brand", fields: ["brand"], unique: false }] },
);

const Order = entity(
  "Order",
  {
    userId: field.id("User"),
    productId: field.id("Product"),
    status: field.string(),
    createdAt: field.datetime(),
  },
  {
    indexes: [{ name: "by_user", fields: ["userId"], unique: false }],
    relations: [{ name: "product", target: "Product", field: "productId" }],
  },
);

const manifest: AppManifest = buildManifest({
  name: "shop",
  version: "0.1.0",
  entities: [User, Product, Order],
  policies: [
    policy({ name: "users", entity: "User", allowRead: "auth.userId == data.id" }),
    policy({
      name: "products",
      entity: "Product",
      allowRead: "true",
      allowWrite: "auth.userId != null",
    }),
    policy({ name: "orders", entity: "Order", allowRead: "auth.userId == data.userId" }),
  ],
  auth: auth({ session: { expiresIn: 30 * 24 * 60 * 60 } }),
});

console.log(JSON.stringify(manifest, null, 2));
