import { ZAP_RADIUS } from "../game/rules.ts";
import type { Zap } from "../game/zap.ts";
import { colorOf, SERVER } from "./colors.ts";
import type { SceneShip } from "./scene.ts";

/**
 * Beams, each to where its pilot saw the ship. A hit that the server found by rewinding has a
 * dashed line to the current position of the ship.
 */
export function drawZaps(
  canvas: CanvasRenderingContext2D,
  zaps: readonly Zap[],
  ships: readonly SceneShip[],
  own: number,
): void {
  for (const { place, x, y, target, isRewound } of zaps) {
    const from = ships.find((ship) => ship.place === place);
    if (from === undefined) continue;
    canvas.strokeStyle = colorOf(place, own);
    line(canvas, from, { x, y }, target === null ? 16 : 40);
    if (target === null) continue;
    canvas.beginPath();
    canvas.arc(x, y, ZAP_RADIUS, 0, 2 * Math.PI);
    canvas.stroke();
    const now = ships.find((ship) => ship.place === target);
    if (!isRewound || now === undefined) continue;
    canvas.strokeStyle = SERVER;
    canvas.setLineDash([80, 60]);
    line(canvas, { x, y }, now, 24);
    canvas.setLineDash([]);
  }
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function line(canvas: CanvasRenderingContext2D, from: Point, to: Point, width: number): void {
  canvas.lineWidth = width;
  canvas.beginPath();
  canvas.moveTo(from.x, from.y);
  canvas.lineTo(to.x, to.y);
  canvas.stroke();
}
