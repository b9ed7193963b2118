import { ARENA_SIZE, MAX_PLAYERS } from "../game/rules.ts";
import type { Zap } from "../game/zap.ts";
import { Camera } from "./camera.ts";
import { BACKGROUND, colorOf, EDGE } from "./colors.ts";
import type { Stick } from "./controls.ts";
import { drawFloor, drawGems, look } from "./draw-arena.ts";
import { drawNames, drawServer, drawShips, drawSparks, Headings } from "./draw-ships.ts";
import { drawZaps } from "./draw-zaps.ts";
import { visible, type Scene } from "./scene.ts";
import { Sparks } from "./sparks.ts";

const MAP_PX = 132;
const MAP_MARGIN_PX = 16;
/** The maximum extent of a ship or gem around its position, including its glow and its name. */
const MAX_DRAWN = 900;

/** The contents of a picture. */
export interface Picture {
  readonly scene: Scene;
  /** The ships' positions on the server, drawn as outlines. */
  readonly server: Scene | null;
  /** The place of the ship to follow; -1 shows the whole arena. */
  readonly own: number;
  readonly nameOf: (place: number) => string;
  readonly stick: Stick | null;
  /** The beams to draw. */
  readonly zaps?: readonly Zap[];
}

/** Paints the frames on a canvas that fills its place on the page. */
export class Painter {
  readonly #element: HTMLCanvasElement;
  readonly #canvas: CanvasRenderingContext2D;
  readonly #camera = new Camera();
  readonly #headings = new Headings();
  readonly #sparks = new Sparks();
  #paintedAt = performance.now();
  #followed = -1;

  /** @throws Error if the browser has no 2D canvas */
  constructor(element: HTMLCanvasElement) {
    const canvas = element.getContext("2d", { alpha: false });
    if (canvas === null) throw new Error("This browser has no canvas.");
    this.#element = element;
    this.#canvas = canvas;
  }

  paint({ scene, server, own, nameOf, stick, zaps = [] }: Picture, nowMs: number): void {
    const elapsedMs = nowMs - this.#paintedAt;
    this.#paintedAt = nowMs;
    const canvas = this.#canvas;
    const { width, height } = this.#fit();
    if (own !== this.#followed) this.#camera.reset();
    this.#followed = own;
    const target = scene.ships.find(({ place }) => place === own) ?? null;
    const lens = this.#camera.follow(target, elapsedMs, width, height);
    const reach = {
      x: width / 2 / lens.scale + MAX_DRAWN,
      y: height / 2 / lens.scale + MAX_DRAWN,
    };
    const seen = visible(scene, lens, reach);
    canvas.fillStyle = BACKGROUND;
    canvas.fillRect(0, 0, width, height);
    canvas.save();
    look(canvas, lens, width, height);
    drawFloor(canvas);
    drawGems(canvas, seen.gems, nowMs);
    this.#headings.turn(scene, elapsedMs);
    drawSparks(canvas, this.#sparks.pass(scene, elapsedMs), own);
    drawShips(canvas, seen.ships, this.#headings, own);
    if (server !== null) drawServer(canvas, visible(server, lens, reach).ships, this.#headings);
    drawZaps(canvas, zaps, scene.ships, own);
    drawNames(canvas, seen.ships, nameOf, 1 / lens.scale);
    canvas.restore();
    if (target !== null) drawMap(canvas, scene, own, width, height);
    if (stick !== null) drawStick(canvas, stick);
  }

  /** Sets the canvas to the number of pixels that the screen has there. */
  #fit(): { readonly width: number; readonly height: number } {
    const { clientWidth: width, clientHeight: height } = this.#element;
    const ratio = Math.min(2, devicePixelRatio);
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#element.width !== wide) this.#element.width = wide;
    if (this.#element.height !== high) this.#element.height = high;
    this.#canvas.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }
}

/** A small map of the whole arena, in the corner. */
function drawMap(
  canvas: CanvasRenderingContext2D,
  { ships, gems }: Scene,
  own: number,
  width: number,
  height: number,
): void {
  const scale = MAP_PX / ARENA_SIZE;
  canvas.save();
  canvas.translate(width - MAP_PX - MAP_MARGIN_PX, height - MAP_PX - MAP_MARGIN_PX);
  canvas.fillStyle = "rgba(7, 10, 18, 0.72)";
  canvas.strokeStyle = EDGE;
  canvas.lineWidth = 1;
  canvas.beginPath();
  canvas.roundRect(0, 0, MAP_PX, MAP_PX, 8);
  canvas.fill();
  canvas.stroke();
  const dot = (x: number, y: number, size: number): void =>
    canvas.fillRect(x * scale - size / 2, y * scale - size / 2, size, size);
  canvas.fillStyle = "rgba(255, 209, 102, 0.5)";
  for (const { x, y } of gems) dot(x, y, 1.5);
  for (const { place, x, y } of ships) {
    canvas.fillStyle = colorOf(place, own);
    dot(x, y, place === own ? 6 : place < MAX_PLAYERS ? 5 : 2);
  }
  canvas.restore();
}

function drawStick(canvas: CanvasRenderingContext2D, { from, to }: Stick): void {
  canvas.strokeStyle = "rgba(232, 238, 252, 0.35)";
  canvas.fillStyle = "rgba(232, 238, 252, 0.35)";
  canvas.lineWidth = 2;
  canvas.beginPath();
  canvas.arc(from.x, from.y, 48, 0, 2 * Math.PI);
  canvas.stroke();
  canvas.beginPath();
  canvas.arc(to.x, to.y, 18, 0, 2 * Math.PI);
  canvas.fill();
}
