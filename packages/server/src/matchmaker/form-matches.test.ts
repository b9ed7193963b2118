import { expect, test } from "bun:test";
import fc from "fast-check";
import { formMatches, fillSeats, spreadOf, type FormingRules } from "./form-matches.ts";

const NOW = 1_000_000;
const ticket = fc.record({
  size: fc.integer({ min: 1, max: 4 }),
  rating: fc.integer({ min: 0, max: 300 }),
  createdAt: fc.integer({ min: NOW - 60_000, max: NOW }),
});
const rules: fc.Arbitrary<FormingRules> = fc
  .record({
    minPlayers: fc.integer({ min: 1, max: 6 }),
    more: fc.integer({ min: 0, max: 3 }),
    ratingSpread: fc.integer({ min: 0, max: 200 }),
    widenPerSecond: fc.integer({ min: 0, max: 5 }),
    fillSeconds: fc.integer({ min: 0, max: 60 }),
  })
  .map(({ more, ...rest }) => ({ ...rest, maxPlayers: rest.minPlayers + more }));

/** The most seats that some of these fill, by trying all. */
function mostFilled(sizes: readonly number[], seats: number): number {
  let most = 0;
  for (let choice = 0; choice < 2 ** sizes.length; choice += 1) {
    const sum = sizes.reduce((total, size, at) => total + ((choice >> at) & 1 ? size : 0), 0);
    if (sum <= seats && sum > most) most = sum;
  }
  return most;
}

test("as many seats are filled as parties can fill, by whom all ways are tried", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 9 }),
      fc.integer({ min: 0, max: 9 }),
      (sizes, seats) => {
        const others = sizes.map((size, id) => ({ id, size }));
        const chosen = fillSeats(others, seats);
        expect(new Set(chosen).size).toBe(chosen.length);
        expect(chosen.reduce((sum, { size }) => sum + size, 0)).toBe(mostFilled(sizes, seats));
      },
    ),
  );
});

test("every match is within the rules, and who is left could begin none", () => {
  fc.assert(
    fc.property(fc.array(ticket, { maxLength: 9 }), rules, (drawn, rule) => {
      const tickets = drawn.map((one, at) => ({ ...one, id: `t${at}` }));
      const matches = formMatches(tickets, rule, NOW);
      const all = matches.flat();
      expect(new Set(all).size).toBe(all.length);
      for (const match of matches) {
        const players = match.reduce((sum, { size }) => sum + size, 0);
        expect(players).toBeGreaterThanOrEqual(rule.minPlayers);
        expect(players).toBeLessThanOrEqual(rule.maxPlayers);
        const [anchor] = match;
        if (anchor === undefined) throw new Error("A match of nobody.");
        // The one that it was formed around says how far apart they are.
        for (const { rating } of match) {
          const spread = spreadOf(rule, anchor, NOW);
          expect(Math.abs(rating - anchor.rating)).toBeLessThanOrEqual(spread);
        }
      }
      const left = tickets.filter((one) => !all.includes(one));
      for (const anchor of left) {
        const near = left.filter(
          (other) =>
            other !== anchor &&
            Math.abs(other.rating - anchor.rating) <= spreadOf(rule, anchor, NOW),
        );
        const seats = rule.maxPlayers - anchor.size;
        const isLate = NOW - anchor.createdAt >= rule.fillSeconds * 1000;
        const players =
          anchor.size +
          mostFilled(
            near.map(({ size }) => size),
            seats,
          );
        const isReady = players === rule.maxPlayers || (players >= rule.minPlayers && isLate);
        expect(seats >= 0 && isReady).toBe(false);
      }
    }),
  );
});

test("who waits longest comes first, and of those who would do the nearest", () => {
  const duel = {
    minPlayers: 2,
    maxPlayers: 2,
    ratingSpread: 100,
    widenPerSecond: 10,
    fillSeconds: 0,
  };
  const at = (id: string, rating: number, agoSeconds: number) => ({
    id,
    rating,
    size: 1,
    createdAt: NOW - agoSeconds * 1000,
  });
  const ids = (tickets: Parameters<typeof formMatches>[0]): string[][] =>
    formMatches(tickets, duel, NOW).map((match) => match.map(({ id }) => id));
  const [old, far, near] = [at("old", 1000, 30), at("far", 1090, 20), at("near", 1010, 10)];
  expect(ids([near, far, old])).toEqual([["old", "near"]]);
  // 100 at first, and 10 more for each second.
  expect(ids([at("a", 1000, 19), at("b", 1300, 0)])).toEqual([]);
  expect(ids([at("a", 1000, 20), at("b", 1300, 0)])).toEqual([["a", "b"]]);
});
