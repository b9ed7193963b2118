import { MAX_PLAYERS, SHIP_RADIUS } from "../game/rules.ts";
import { isDashing } from "../game/ship.ts";
import { colorOf, GEM, SERVER } from "./colors.ts";
import type { Scene, SceneShip } from "./scene.ts";
import type { Spark } from "./sparks.ts";

/** Below this speed, a ship keeps its heading. */
const MIN_SPEED = 18;
/** The time in which a ship turns by about two thirds of the angle. */
const TURN_MS = 70;

/** The headings of the ships, which turn smoothly. */
export class Headings {
  readonly #angles = new Map<number, number>();

  turn({ ships }: Scene, elapsedMs: number): void {
    const share = 1 - Math.exp(-elapsedMs / TURN_MS);
    for (const { place, vx, vy } of ships) {
      if (Math.hypot(vx, vy) < MIN_SPEED) continue;
      const angle = this.of(place);
      const turn = Math.atan2(vy, vx) - angle;
      this.#angles.set(place, angle + Math.atan2(Math.sin(turn), Math.cos(turn)) * share);
    }
  }

  of(place: number): number {
    return this.#angles.get(place) ?? -Math.PI / 2;
  }
}

/** The outline of a ship that points to the right. */
function shipPath(canvas: CanvasRenderingContext2D): void {
  const r = SHIP_RADIUS * 1.25;
  canvas.beginPath();
  canvas.moveTo(r, 0);
  canvas.lineTo(-r * 0.75, r * 0.78);
  canvas.lineTo(-r * 0.38, 0);
  canvas.lineTo(-r * 0.75, -r * 0.78);
  canvas.closePath();
}

export function drawShips(
  canvas: CanvasRenderingContext2D,
  ships: readonly SceneShip[],
  headings: Headings,
  own: number,
): void {
  canvas.lineJoin = "round";
  // Players are drawn above bots, and the own ship above all.
  const rank = ({ place }: SceneShip): number => (place === own ? 2 : Number(place < MAX_PLAYERS));
  for (const ship of ships.toSorted((one, other) => rank(one) - rank(other)))
    drawShip(canvas, ship, headings.of(ship.place), own);
}

function drawShip(
  canvas: CanvasRenderingContext2D,
  ship: SceneShip,
  heading: number,
  own: number,
): void {
  const color = colorOf(ship.place, own);
  const isPlayer = ship.place < MAX_PLAYERS;
  canvas.save();
  canvas.translate(ship.x, ship.y);
  if (isPlayer) {
    canvas.fillStyle = color;
    canvas.globalAlpha = isDashing(ship) ? 0.3 : 0.12;
    canvas.beginPath();
    canvas.arc(0, 0, SHIP_RADIUS * 2, 0, 2 * Math.PI);
    canvas.fill();
  }
  canvas.globalAlpha = ship.stun > 0 ? 0.4 : 1;
  canvas.rotate(heading);
  shipPath(canvas);
  canvas.fillStyle = color;
  canvas.fill();
  canvas.lineWidth = 22;
  canvas.strokeStyle = isDashing(ship) ? "#ffffff" : "rgba(7, 10, 18, 0.75)";
  canvas.stroke();
  canvas.restore();
}

/** Outlines of the ships at their positions on the server. */
export function drawServer(
  canvas: CanvasRenderingContext2D,
  ships: readonly SceneShip[],
  headings: Headings,
): void {
  canvas.strokeStyle = SERVER;
  canvas.lineWidth = 20;
  for (const { x, y, place } of ships) {
    canvas.save();
    canvas.translate(x, y);
    canvas.rotate(headings.of(place));
    shipPath(canvas);
    canvas.stroke();
    canvas.restore();
  }
}

/** The names of the players, and their numbers of gems. */
export function drawNames(
  canvas: CanvasRenderingContext2D,
  ships: readonly SceneShip[],
  nameOf: (place: number) => string,
  pixel: number,
): void {
  canvas.textAlign = "center";
  for (const { place, x, y, gems } of ships) {
    if (place >= MAX_PLAYERS) continue;
    const top = y - SHIP_RADIUS - 16 * pixel;
    canvas.font = `600 ${13 * pixel}px system-ui, sans-serif`;
    canvas.fillStyle = "#e8eefc";
    canvas.fillText(nameOf(place), x, top);
    canvas.font = `600 ${11 * pixel}px system-ui, sans-serif`;
    canvas.fillStyle = GEM;
    canvas.fillText(`◆ ${gems}`, x, y + SHIP_RADIUS + 22 * pixel);
  }
}

export function drawSparks(
  canvas: CanvasRenderingContext2D,
  sparks: readonly Spark[],
  own: number,
): void {
  for (const { kind, place, x, y, age } of sparks) {
    canvas.globalAlpha = (1 - age) * (kind === "trail" ? 0.28 : 0.9);
    canvas.beginPath();
    if (kind === "trail") {
      canvas.fillStyle = colorOf(place, own);
      canvas.arc(x, y, SHIP_RADIUS * (1 - 0.6 * age), 0, 2 * Math.PI);
      canvas.fill();
    } else {
      canvas.strokeStyle = GEM;
      canvas.lineWidth = 26 * (1 - age);
      canvas.arc(x, y, SHIP_RADIUS * (1.2 + 1.6 * age), 0, 2 * Math.PI);
      canvas.stroke();
    }
  }
  canvas.globalAlpha = 1;
}
