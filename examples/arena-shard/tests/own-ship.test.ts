/// <reference types="bun" />
import { expect, test } from "bun:test";
import { moveShip, NO_MOVE, type Move, type Ship } from "../game/ship.ts";
import { OwnShip, STEP_MS } from "../web/own-ship.ts";

const FRAME_MS = 1000 / 60;
const start: Ship = { x: 12_000, y: 9000, vx: 0, vy: 0, gems: 0, wait: 0, stun: 0, charge: 0 };
const right: Move = { x: 3, y: 0, dash: false };

/** Flies for this time, frame by frame. @returns the number of moves */
function fly(ship: OwnShip, forMs: number, move: Move, seq = 0): number {
  let made = 0;
  for (let passed = 0; passed < forMs; passed += FRAME_MS)
    ship.pass(FRAME_MS, () => {
      made += 1;
      return { seq: seq + made, move };
    });
  return made;
}

test("a ship makes one move per step, and moves a little in each frame between", () => {
  const ship = new OwnShip(start);
  const made = fly(ship, 2000, right);
  expect(made).toBeWithin(39, 42);
  expect(ship.pending).toBe(made);
  const shown: number[] = [];
  for (let frame = 0; frame < 30; frame += 1) {
    shown.push(ship.shown.x);
    fly(ship, FRAME_MS, right, made);
  }
  for (const [index, x] of shown.entries())
    if (index > 0) expect(x - (shown[index - 1] ?? x)).toBeWithin(30, 100);
});

test("a page that was suspended only catches up on a few moves", () => {
  const ship = new OwnShip(start);
  let made = 0;
  ship.pass(60_000, () => {
    made += 1;
    return { seq: made, move: right };
  });
  expect(made * STEP_MS).toBe(250);
});

test("a matching state of the server does not change what is shown", () => {
  const ship = new OwnShip(start);
  const made = fly(ship, 500, right);
  const before = ship.shown;
  let said = start;
  for (let move = 0; move < 4; move += 1) said = moveShip(said, right);
  ship.reconcile(said, 4);
  expect([ship.shown, ship.pending, ship.corrected]).toEqual([before, made - 4, 0]);
});

test("a ship that is elsewhere on the server does not jump, but glides there soon", () => {
  const ship = new OwnShip(start);
  const made = fly(ship, 500, NO_MOVE);
  ship.reconcile({ ...start, x: 12_800, y: 8700 }, made);
  expect(ship.shown).toMatchObject({ x: start.x, y: start.y });
  expect(ship.corrected).toBeCloseTo(Math.hypot(800, 300), 6);
  fly(ship, 90, NO_MOVE, made);
  expect(ship.shown.x).toBeWithin(12_400, 12_700);
  fly(ship, 1000, NO_MOVE, made);
  expect(ship.shown.x).toBeCloseTo(12_800, 0);
  expect(ship.shown.y).toBeCloseTo(8700, 0);
});

test("a ship that is far away on the server jumps there immediately", () => {
  const ship = new OwnShip(start);
  ship.reconcile({ ...start, x: 20_000 }, 0);
  expect(ship.shown.x).toBe(20_000);
});
