import { MAX_INVITATIONS } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { Organizations, type Invited } from "./organizations.ts";

const DAY_MS = 24 * 60 * 60_000;
const USERS = ["ann", "ben", "cas"] as const;
const ROLES = ["owner", "admin", "member", "guide"] as const;

function rank(role: string): number {
  return role === "owner" ? 2 : role === "admin" ? 1 : 0;
}

/** A user who has verified the address. */
const invited = (id: string): Invited => ({ id, email: `${id}@example.com`, isVerified: true });

test("an owner always remains, and nobody grants or removes a role above their own", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const told: string[] = [];
  const organizations = new Organizations(store, platform, async (userId, _, role) => {
    told.push(`${userId} ${role}`);
  });
  const user = fc.constantFrom(...USERS);
  const step = fc.oneof(
    fc.record({ actor: user, user, role: fc.constantFrom(...ROLES) }),
    fc.record({ actor: user, user, role: fc.constant(null) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { id } = await organizations.create("Acme", "ann");
      const roles = new Map<string, string>([["ann", "owner"]]);
      const join = async (userId: string): Promise<void> => {
        const owner = [...roles].find(([, role]) => role === "owner")?.[0] ?? "";
        const { token } = await organizations.invite(id, owner, `${userId}@example.com`, "member");
        await organizations.accept(token, invited(userId));
        roles.set(userId, "member");
      };
      for (const { actor, user: whom, role } of steps) {
        if (!roles.has(whom)) {
          await join(whom);
          continue;
        }
        const [by, before] = [roles.get(actor), roles.get(whom) ?? ""];
        told.length = 0;
        const isDone = await (
          role === null
            ? organizations.remove(id, actor, whom)
            : organizations.setRole(id, actor, whom, role)
        ).then(
          () => true,
          () => false,
        );
        if (isDone) {
          if (role === null) roles.delete(whom);
          else roles.set(whom, role);
          expect(told).toEqual([`${whom} ${role}`]);
          const isOwnExit = role === null && actor === whom;
          if (!isOwnExit) {
            expect(rank(by ?? "")).toBeGreaterThanOrEqual(Math.max(1, rank(before)));
            expect(rank(by ?? "")).toBeGreaterThanOrEqual(rank(role ?? "member"));
          }
        } else expect(told).toEqual([]);
        expect([...roles.values()]).toContain("owner");
      }
      const members = await organizations.members(id);
      expect(new Map(members.map((member) => [member.user_id, member.role]))).toEqual(roles);
    }),
    { numRuns: 12 },
  );
});

test("an invitation is for one address, once, for a week, if its maker may grant it", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const organizations = new Organizations(store, platform, () => Promise.resolve());
  const { id } = await organizations.create("Acme", "ann");
  const invite = async (email: string): Promise<string> =>
    (await organizations.invite(id, "ann", email, "admin")).token;
  const token = await invite("ben@example.com");
  const accept = (with_: string, user: string): Promise<unknown> =>
    organizations.accept(with_, invited(user));
  const ben = { ...invited("ben"), isVerified: false };
  await expect(organizations.accept(token, ben)).rejects.toMatchObject({
    code: "EMAIL_NOT_VERIFIED",
  });
  const cas = { ...ben, email: "cas@example.com" };
  await expect(organizations.accept(token, cas)).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  await expect(accept(token, "cas")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  expect(await accept(token, "ben")).toMatchObject({ id, role: "admin" });
  await expect(accept(token, "ben")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  const late = await invite("cas@example.com");
  advance(7 * DAY_MS);
  await expect(accept(late, "cas")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  expect(await organizations.invitations(id)).toEqual([]);
  expect(await organizations.forgetExpired()).toBe(1);
  const first = await invite("cas@example.com");
  const second = await invite("cas@example.com");
  await expect(accept(first, "cas")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  expect(await accept(second, "cas")).toMatchObject({ role: "admin" });
  const { token: byBen } = await organizations.invite(id, "ben", "dan@example.com", "admin");
  await organizations.setRole(id, "ann", "ben", "member");
  await expect(accept(byBen, "dan")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
});

test("the link of an invitation shows what it is for, as long as it can be accepted", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const organizations = new Organizations(store, platform, () => Promise.resolve());
  const { id } = await organizations.create("Acme", "ann");
  const { token } = await organizations.invite(id, "ann", "ben@example.com", "guide");
  const shown = { organization: "Acme", role: "guide", email: "b…@example.com" };
  expect(await organizations.preview(token)).toEqual(shown);
  expect(await organizations.preview(token)).toEqual(shown);
  const isGone = async (which: string): Promise<void> => {
    await expect(organizations.preview(which)).rejects.toMatchObject({ code: "INVALID_TOKEN" });
  };
  await isGone("another");
  await organizations.accept(token, invited("ben"));
  await isGone(token);
  const { token: replaced } = await organizations.invite(id, "ann", "cas@example.com", "admin");
  const { token: late } = await organizations.invite(id, "ann", "cas@example.com", "admin");
  await isGone(replaced);
  expect(await organizations.preview(late)).toMatchObject({ role: "admin" });
  advance(7 * DAY_MS);
  await isGone(late);
});

test("an organization without an owner goes to the next in rank, or is deleted", async () => {
  await using scratch = scratchStore();
  const { store, platform, advance } = scratch;
  const organizations = new Organizations(store, platform, () => Promise.resolve());
  const { id } = await organizations.create("Acme", "ann");
  const join = async (user: string, role: string): Promise<void> => {
    advance(1);
    const email = `${user}@example.com`;
    const { token } = await organizations.invite(id, "ann", email, role);
    await organizations.accept(token, invited(user));
  };
  await join("ben", "member");
  await join("cas", "admin");
  await expect(organizations.requireLeavable(store, "ann")).rejects.toMatchObject({
    code: "LAST_OWNER",
  });
  await organizations.requireLeavable(store, "cas");
  await store.transact((tx) => organizations.forgetIn(tx, "ann", "ann@example.com"));
  expect(await organizations.role(id, "cas")).toBe("owner");
  await store.transact((tx) => organizations.forgetIn(tx, "cas", null));
  expect(await organizations.role(id, "ben")).toBe("owner");
  await store.transact((tx) => organizations.forgetIn(tx, "ben", null));
  expect(await organizations.get(id)).toBeNull();
});

test("a non-member learns nothing and changes nothing", async () => {
  await using scratch = scratchStore();
  const organizations = new Organizations(scratch.store, scratch.platform, () => Promise.resolve());
  const { id } = await organizations.create("Acme", "ann");
  const attempts = [
    () => organizations.rename(id, "eve", "Mine"),
    () => organizations.delete(id, "eve"),
    () => organizations.invite(id, "eve", "eve@example.com", "member"),
    () => organizations.withdraw(id, "eve", "x"),
    () => organizations.remove(id, "eve", "ann"),
  ];
  for (const attempt of attempts)
    await expect(attempt()).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await organizations.get(id)).toMatchObject({ name: "Acme" });
  expect(await organizations.of("eve")).toEqual([]);
});

test("a user who owns too many organizations can't create another, even at once", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const organizations = new Organizations(store, platform, () => Promise.resolve(), 3);
  const made = await Promise.allSettled(
    ["a", "b", "c", "d", "e"].map((name) => organizations.create(name, "ann")),
  );
  const refused = made.filter((one) => one.status === "rejected");
  expect(refused.map(({ reason }) => (reason as { readonly code: string }).code)).toEqual([
    "CONFLICT",
    "CONFLICT",
  ]);
  const [owned] = await organizations.of("ann");
  await organizations.create("other", "ben");
  await organizations.delete(owned?.id ?? "", "ann");
  await organizations.create("again", "ann");
});

test("an organization has a maximum of open invitations", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const organizations = new Organizations(store, platform, () => Promise.resolve());
  const { id } = await organizations.create("Acme", "ann");
  const invite = (number: number): Promise<unknown> =>
    organizations.invite(id, "ann", `${number}@example.com`, "member");
  for (let number = 0; number < MAX_INVITATIONS; number += 1) await invite(number);
  await expect(invite(MAX_INVITATIONS)).rejects.toMatchObject({ code: "CONFLICT" });
  // A second invitation replaces the first.
  await invite(0);
});
