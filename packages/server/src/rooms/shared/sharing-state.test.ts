import { expect, test } from "bun:test";
import { Sharing, SHARING_TRANSITIONS, type SharingState } from "./sharing-state.ts";

const STATES: readonly SharingState[] = [
  "new",
  "entering",
  "online",
  "lost",
  "returning",
  "stopped",
];

/** The shortest path from the initial state to each state, according to the table. */
function waysTo(): ReadonlyMap<SharingState, readonly SharingState[]> {
  const ways = new Map<SharingState, readonly SharingState[]>([["new", []]]);
  for (const [state, way] of ways)
    for (const next of SHARING_TRANSITIONS[state])
      if (!ways.has(next)) ways.set(next, [...way, next]);
  return ways;
}

function at(state: SharingState): Sharing {
  const sharing = new Sharing();
  for (const next of waysTo().get(state) ?? []) sharing.become(next);
  return sharing;
}

test("every state can be reached, and all but the last one may stop", () => {
  expect([...waysTo().keys()].toSorted()).toEqual(STATES.toSorted());
  for (const state of STATES)
    expect(SHARING_TRANSITIONS[state].includes("stopped")).toBe(state !== "stopped");
});

test.each(STATES)("%s can change to the states in the table, and rejects any others", (from) => {
  for (const to of STATES) {
    const sharing = at(from);
    expect(sharing.state).toBe(from);
    if (SHARING_TRANSITIONS[from].includes(to)) {
      sharing.become(to);
      expect(sharing.state).toBe(to);
    } else {
      expect(() => sharing.become(to)).toThrow(`can't become "${to}" while they are "${from}"`);
      expect(sharing.state).toBe(from);
    }
  }
});

test("known contact with the backend is kept: only `entering` goes back to `new`", () => {
  const before = STATES.filter((state) => SHARING_TRANSITIONS[state].includes("new"));
  expect(before).toEqual(["entering"]);
});
