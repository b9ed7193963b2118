// What the compiler must know about the entities of an app's plugins. Checked by `npm test`, never
// run.
import "./pylon.client.ts";
import type { MutationCtx } from "@pylonsync/functions";
import { db } from "@pylonsync/react";
import { definePlugin, entity, field, hooksFor } from "@pylonsync/sdk";
import {
  computationsFor,
  email,
  isFlagOn,
  rulesFor,
  sendFor,
  slugify,
  softDelete,
} from "@pylonsync/sdk/plugins";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function checkPluginEntities({ db: rows, auth }: MutationCtx): Promise<void> {
  for (const { operation, at } of await rows.query("AuditLog", { operation: "insert" }))
    same<[typeof operation, typeof at], ["insert" | "update" | "delete", string]>(true);
  const version = await rows.get("RowVersion", "1");
  same<(typeof version & {})["version"], number>(true);
  const flag = await rows.lookup("FeatureFlag", "name", "beta");
  if (flag !== null) isFlagOn(flag, auth);
  const noise = await rows.get("Noise", "1");
  // The app's timestamps are for its own entities.
  same<keyof (typeof noise & {}), "id" | "text" | "level">(true);
  const post = await rows.get("Post", "1");
  same<
    keyof (typeof post & {}),
    "id" | "title" | "createdAt" | "updatedAt" | "slug" | "deletedAt" | "rank" | "secret"
  >(true);
  await rows.insert("Noise", { text: "loud" });
  const typo = "StripeSubscriptions";
  // @ts-expect-error there is no such entity
  await rows.query(typo, {});
  // @ts-expect-error there is no such field
  await rows.query("StripeSubscription", { state: "active" });
}

/** The fields that plugins add to the app's entities have types. */
export async function checkPluginFields({ db: rows }: MutationCtx, id: string): Promise<void> {
  const post = await rows.lookup("Post", "slug", "hello");
  if (post === null) return;
  same<typeof post.slug, string | null>(true);
  same<typeof post.rank, number>(true);
  await rows.update("Post", post.id, { deletedAt: null, rank: { $increment: 1 } });
  await rows.insert("Post", { title: "a", secret: "b" });
  // @ts-expect-error the plugin's field is required
  await rows.insert("Post", { title: "a" });
  // @ts-expect-error the server writes it
  await rows.update("Post", post.id, { updatedAt: "2026-01-01T00:00:00Z" });
  const page = await rows.get("Page", id);
  // The slug has its own name. The field that the entity declares itself stays as it is.
  same<(typeof page & {})["path"], string | null>(true);
  same<(typeof page & {})["archivedAt"], string>(true);
  await rows.insert("Page", { title: "a", archivedAt: "never" });
  same<
    keyof (typeof page & {}),
    "id" | "title" | "archivedAt" | "path" | "tenantId" | "createdAt" | "updatedAt"
  >(true);
}

/** Hooks know the fields that plugins add, and those of the plugin that declares them. */
export function checkPluginHooks(): void {
  const Post = entity("Post", { title: field.string() });
  const fields = { Post: { rank: field.int().default(0) } };
  const deleting = softDelete({ entities: ["Post"] });
  hooksFor(Post, [deleting, { fields }, definePlugin({ name: "other" })], {
    beforeInsert: (data) => ({ ...data, rank: (data.rank ?? 0) + 1 }),
    beforeUpdate: (patch, before) => {
      same<typeof before.rank, number>(true);
      same<typeof before.deletedAt, string | null>(true);
      // @ts-expect-error there is no such field
      void patch.rnak;
    },
  });
  // @ts-expect-error there is no such field without the plugin
  hooksFor(Post, { afterInsert: ({ rank }) => void rank });
  hooksFor(Post, { afterInsert: ({ title }) => void title });
}

/** Rules and computations know the fields of their entity, and those that plugins add to it. */
export function checkFieldFunctions(): void {
  const Line = entity("Line", {
    price: field.int(),
    note: field.string().optional(),
    end: field.datetime(),
    state: field.enum(["open", "done"]).default("open"),
  });
  const deleting = softDelete({ entities: ["Line"] });
  rulesFor(Line, {
    price: (price, { note, end }) => {
      same<[typeof price, typeof note], [number | null, string | null | undefined]>(true);
      same<typeof end, string | Date | undefined>(true);
      return undefined;
    },
    // @ts-expect-error there is no such field
    prise: () => undefined,
  });
  rulesFor(Line, [deleting], { deletedAt: (at) => (at === null ? undefined : "No.") });
  // @ts-expect-error there is no such field without the plugin
  rulesFor(Line, { deletedAt: () => undefined });
  computationsFor(Line, { state: ({ price = 0 }) => (price > 0 ? "open" : "done") });
  // @ts-expect-error it is not one of the values
  computationsFor(Line, { state: () => "closed" });
  computationsFor(Line, [deleting], { note: ({ deletedAt }) => String(deletedAt ?? "") });
}

/** Emails know the fields of the entity that they are about. */
export function checkEmails(): void {
  const Order = entity("Order", {
    status: field.enum(["open", "shipped"]),
    email: field.string().hidden(),
  });
  const template = () => ({ subject: "a", text: "b" });
  const received = sendFor(Order, {
    name: "received",
    on: "insert",
    to: "data.email",
    when: ({ before, operation }) => {
      same<[typeof before, typeof operation], [null, "insert"]>(true);
      return true;
    },
    template: ({ row }) => {
      same<
        [typeof row.status, typeof row.email, typeof row.id],
        ["open" | "shipped", string, string]
      >(true);
      return { subject: row.status, text: row.email };
    },
  });
  const updated = sendFor(Order, {
    name: "updated",
    on: "update",
    to: ({ row }) => row.email,
    when: ({ row, before }) => row.status !== before.status,
    template,
  });
  const deleting = softDelete({ entities: ["Order"] });
  const deleted = sendFor(Order, [deleting], {
    name: "deleted",
    on: "update",
    to: "team@example.com",
    when: ({ row }) => row.deletedAt !== null,
    template,
  });
  email({ sends: [received, updated, deleted] });
  // @ts-expect-error there is no such field
  sendFor(Order, { name: "a", on: "insert", to: "data.mail", template });
  // @ts-expect-error there is no such operation
  sendFor(Order, { name: "a", on: "inserted", to: "data.email", template });
  const when = ({ row }: { readonly row: { readonly total: number } }): boolean => row.total > 1;
  // @ts-expect-error there is no such field
  sendFor(Order, { name: "a", on: "insert", to: "data.email", when, template });
}

export function checkPluginOptions(): void {
  // @ts-expect-error there is no such option
  slugify({ entities: { Post: { from: "title", too: "path" } } });
  // @ts-expect-error the source is missing
  slugify({ entities: { Post: { to: "path" } } });
  // @ts-expect-error there is no such option
  softDelete({ entities: ["Post"], fields: "gone" });
}

export function usePost(): number | undefined {
  const [post] = db.useQuery("Post", {
    where: { deletedAt: null },
    orderBy: { rank: "desc" },
  }).data;
  // @ts-expect-error clients do not receive hidden fields
  void post?.secret;
  return post?.rank;
}

export function useSubscription(): string | undefined {
  return (
    db.useQuery("StripeSubscription", { where: { status: "active" } }).data[0]?.priceId ?? undefined
  );
}
