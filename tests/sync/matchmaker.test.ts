import { afterAll, beforeAll, expect, test } from "bun:test";
import { internalQuery, shard, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { connectShard, findMatch, type MatchTicket } from "@pylonsync/sync/shards";
import { TestClient, until } from "../support/client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "matches",
  version: "1.0.0",
  access: "public",
  entities: [entity("Score", { userId: field.string(), rating: field.int() })],
});
const common = {
  instances: true,
  inviteOnly: true,
  input: v.any(),
  init: () => {
    const names: string[] = [];
    return { names };
  },
};
const duel = shard({
  ...common,
  match: { minPlayers: 2, fillSeconds: 0, rating: "ratingOf" },
  onJoin: ({ names }, { id }) => void names.push(id),
  view: ({ names }) => names,
});
const raid = shard({
  ...common,
  match: { minPlayers: 2, fillSeconds: 0, acceptSeconds: 20, modes: ["easy", "hard"] },
  view: ({ names }) => names,
});
const ratingOf = internalQuery({
  args: { userId: v.string() },
  handler: async (ctx, { userId }) => {
    const [score] = await ctx.db.query("Score", { userId });
    return score?.rating ?? 1000;
  },
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer(appOf(manifest, { ratingOf }, [], { duel, raid }));
});
afterAll(() => server.stop());

async function guest(): Promise<TestClient & { readonly token: string }> {
  const client = await TestClient.guest(server.url);
  return Object.assign(client, { token: client.token ?? "" });
}

test("two users who look for a match meet in a shard that admits no one else", async () => {
  const [ann, bob, eve] = [await guest(), await guest(), await guest()];
  // The app's own query rates her too far away, whatever she sends.
  await eve.insert("Score", { userId: eve.userId, rating: 9000 });
  const baseUrl = server.url;
  const off = new AbortController();
  const seen: MatchTicket[] = [];
  const eves = findMatch("duel", {
    baseUrl,
    token: eve.token,
    signal: off.signal,
    onTicket: (ticket) => void seen.push(ticket),
  }).then(
    () => "matched",
    (error: unknown) => String(error),
  );
  const [anns, bobs] = await Promise.all(
    [ann, bob].map(({ token }) => findMatch("duel", { baseUrl, token })),
  );
  if (anns === undefined || bobs === undefined) throw new Error("Nobody met.");
  expect(anns.shardId).toBe(bobs.shardId);
  const views: unknown[] = [];
  const games = [anns, bobs].map(({ shardId, joinToken }) => {
    const game = connectShard(shardId, { baseUrl, joinToken });
    game.onSnapshot((view) => void views.push(view));
    return game;
  });
  const both = JSON.stringify([ann.userId, bob.userId].toSorted());
  await until(() => views.some((view) => JSON.stringify(toSorted(view)) === both));
  const stranger = connectShard(anns.shardId, {
    baseUrl,
    subscriberId: eve.userId,
    token: eve.token,
  });
  const closed = await new Promise<[string, boolean]>((resolve) => {
    stranger.onClose((reason, willReturn) => resolve([reason, willReturn]));
  });
  expect([closed[0].includes("by invitation"), closed[1]]).toEqual([true, false]);
  for (const game of games) game.close();
  off.abort();
  await until(async () => {
    const ticket = await eve.request("GET", `/api/match/tickets/${seen[0]?.id}`);
    return ticket.body["status"] === "cancelled";
  });
  expect(await eves).toContain("AbortError");
}, 30_000);

function toSorted(view: unknown): unknown {
  return Array.isArray(view) ? view.map(String).toSorted() : view;
}

test("a party looks for a match together, and each member accepts", async () => {
  const [ann, bob] = [await guest(), await guest()];
  const baseUrl = server.url;
  const statuses: string[] = [];
  const { promise: invited, resolve } = Promise.withResolvers<string>();
  let asked = 0;
  const onProposal = (): boolean => {
    asked += 1;
    return true;
  };
  const anns = findMatch("raid", {
    baseUrl,
    token: ann.token,
    mode: "hard",
    partySize: 2,
    onProposal,
    onTicket: ({ id, status }) => {
      statuses.push(status);
      resolve(id);
    },
  });
  const ticketId = await invited;
  const bobs = findMatch("raid", { baseUrl, token: bob.token, ticketId, onProposal });
  expect((await anns).shardId).toBe((await bobs).shardId);
  expect([asked, statuses[0], statuses.at(-1)]).toEqual([2, "gathering", "matched"]);
}, 30_000);

test("an invalid request is rejected with the name of its field", async () => {
  const ann = await guest();
  const nobody = new TestClient(server.url, null);
  expect((await nobody.request("POST", "/api/match/duel", {})).status).toBe(401);
  for (const [path, body, status, error] of [
    ["/api/match/duel", { party_size: 0 }, 400, { field: "party_size" }],
    ["/api/match/duel", { mode: 7 }, 400, { field: "mode" }],
    ["/api/match/raid", { mode: "none" }, 400, { field: "mode" }],
    ["/api/match/none", {}, 404, { code: "SHARD_NOT_FOUND" }],
    ["/api/match/tickets/none/accept", undefined, 404, { code: "TICKET_NOT_FOUND" }],
    ["/api/match/tickets/none/party", undefined, 404, { code: "TICKET_NOT_FOUND" }],
  ] as const) {
    const answer = await ann.request("POST", path, body);
    expect([answer.status, answer.body["error"]]).toMatchObject([status, error]);
  }
  const wait = await ann.request("GET", "/api/match/tickets/none?wait=99");
  expect([wait.status, wait.body["error"]]).toMatchObject([400, { field: "wait" }]);
});
