// The books of several organizations, written like apps of the public system: members are rows of
// the app itself, and the page selects the tenant.
import { auth, buildManifest, definePlugin, entity, field, policy } from "@pylonsync/sdk";

const User = entity("User", {
  email: field.string().unique(),
  displayName: field.string(),
  avatarColor: field.string(),
  passwordHash: field.string(),
  createdAt: field.datetime(),
});
const Org = entity("Org", { name: field.string() });
const OrgMember = entity(
  "OrgMember",
  { userId: field.id("User"), orgId: field.id("Org"), role: field.string() },
  { indexes: [{ name: "by_user", fields: ["userId"], unique: false }] },
);
const Invoice = entity(
  "Invoice",
  {
    orgId: field.id("Org"),
    number: field.string(),
    total: field.int(),
    createdAt: field.datetime(),
  },
  { indexes: [{ name: "by_org", fields: ["orgId"], unique: false }] },
);

/** Stores numbers in the same form for pages, functions and imports. */
const numbers = definePlugin({
  name: "numbers",
  hooks: {
    beforeInsert: (data, { entity: name }) =>
      name === "Invoice" ? { ...data, number: String(data["number"]).toUpperCase() } : data,
  },
});

const manifest = buildManifest({
  name: "erp",
  version: "0.1.0",
  entities: [User, Org, OrgMember, Invoice],
  policies: [
    policy({ name: "users", entity: "User", allowRead: "auth.userId != null" }),
    policy({
      name: "orgs",
      entity: "Org",
      allowRead: "exists(OrgMember, orgId == data.id && userId == auth.userId)",
    }),
    policy({ name: "members", entity: "OrgMember", allowRead: "auth.userId == data.userId" }),
    policy({
      name: "invoices",
      entity: "Invoice",
      allow: "auth.tenantId != null && auth.tenantId == data.orgId",
    }),
  ],
  plugins: [numbers],
  auth: auth({ user: { expose: ["id", "email", "displayName"] } }),
});

export default manifest;
