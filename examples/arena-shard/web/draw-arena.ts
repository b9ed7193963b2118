import { ARENA_SIZE, GEM_RADIUS, PILLARS } from "../game/rules.ts";
import type { Lens } from "./camera.ts";
import { EDGE, FLOOR, GEM, GRID, PILLAR, PILLAR_EDGE } from "./colors.ts";
import type { Scene } from "./scene.ts";

const CELL = 1000;
/** The rings of a pillar: the share of its radius, the width, the opacity. */
const RINGS = [
  [1, 36, 1],
  [0.78, 14, 0.5],
  [0.5, 14, 0.25],
] as const;

/** Scales the canvas to the arena's lengths. */
export function look(canvas: CanvasRenderingContext2D, lens: Lens, w: number, h: number): void {
  canvas.translate(w / 2, h / 2);
  canvas.scale(lens.scale, lens.scale);
  canvas.translate(-lens.x, -lens.y);
}

/** The floor with its grid and its edge, and the pillars. */
export function drawFloor(canvas: CanvasRenderingContext2D): void {
  canvas.fillStyle = FLOOR;
  canvas.beginPath();
  canvas.roundRect(0, 0, ARENA_SIZE, ARENA_SIZE, 400);
  canvas.fill();
  canvas.lineWidth = 12;
  canvas.strokeStyle = GRID;
  canvas.beginPath();
  for (let at = CELL; at < ARENA_SIZE; at += CELL) {
    canvas.moveTo(at, 0);
    canvas.lineTo(at, ARENA_SIZE);
    canvas.moveTo(0, at);
    canvas.lineTo(ARENA_SIZE, at);
  }
  canvas.stroke();
  canvas.lineWidth = 50;
  canvas.strokeStyle = EDGE;
  canvas.beginPath();
  canvas.roundRect(0, 0, ARENA_SIZE, ARENA_SIZE, 400);
  canvas.stroke();
  for (const { x, y, radius } of PILLARS) drawPillar(canvas, x, y, radius);
}

function drawPillar(canvas: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  canvas.save();
  canvas.translate(x, y);
  // A faint glow around it, on the floor.
  disc(canvas, radius * 1.14, PILLAR_EDGE, 0.12);
  disc(canvas, radius, PILLAR, 1);
  canvas.strokeStyle = PILLAR_EDGE;
  for (const [share, width, alpha] of RINGS) {
    canvas.globalAlpha = alpha;
    canvas.lineWidth = width;
    canvas.beginPath();
    canvas.arc(0, 0, radius * share - width / 2, 0, 2 * Math.PI);
    canvas.stroke();
  }
  canvas.restore();
}

function disc(
  canvas: CanvasRenderingContext2D,
  radius: number,
  color: string,
  alpha: number,
): void {
  canvas.globalAlpha = alpha;
  canvas.fillStyle = color;
  canvas.beginPath();
  canvas.arc(0, 0, radius, 0, 2 * Math.PI);
  canvas.fill();
}

/** Gems, which rotate and shine. */
export function drawGems(
  canvas: CanvasRenderingContext2D,
  gems: Scene["gems"],
  nowMs: number,
): void {
  for (const [index, { x, y }] of gems.entries()) {
    const turn = Math.abs(Math.sin(nowMs / 500 + index));
    const width = GEM_RADIUS * (0.5 + 0.5 * turn);
    canvas.save();
    canvas.translate(x, y);
    disc(canvas, GEM_RADIUS * 2.6, GEM, 0.05);
    disc(canvas, GEM_RADIUS * 1.7, GEM, 0.08);
    canvas.globalAlpha = 1;
    diamond(canvas, width);
    canvas.fillStyle = "#fff3cf";
    canvas.globalAlpha = 0.3 + 0.4 * turn;
    diamond(canvas, width * 0.4);
    canvas.restore();
  }
}

function diamond(canvas: CanvasRenderingContext2D, width: number): void {
  const height = GEM_RADIUS * 1.3;
  canvas.beginPath();
  canvas.moveTo(0, -height);
  canvas.lineTo(width, 0);
  canvas.lineTo(0, height);
  canvas.lineTo(-width, 0);
  canvas.fill();
}
