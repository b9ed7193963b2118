import { MAX_AXIS, NO_MOVE, type Move } from "../game/ship.ts";

const KEYS: Readonly<Record<string, { readonly x: number; readonly y: number }>> = {
  ArrowLeft: { x: -1, y: 0 },
  KeyA: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  KeyD: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  KeyW: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
  KeyS: { x: 0, y: 1 },
};
const DASH_KEYS: ReadonlySet<string> = new Set(["Space", "ShiftLeft", "ShiftRight"]);
const ZAP_KEY = "KeyE";
/** The distance of a finger's drag for full thrust, in pixels. */
const STICK_PX = 48;

/** A finger that steers: its first and its current position. */
export interface Stick {
  readonly pointerId: number;
  readonly from: { readonly x: number; readonly y: number };
  readonly to: { readonly x: number; readonly y: number };
}

/** Steers with keys, or with a finger on the canvas while another one taps for a dash. */
export class Controls {
  readonly #held = new Set<string>();
  readonly #abort = new AbortController();
  #stick: Stick | null = null;
  #wantsDash = false;
  #wantsZap = false;

  constructor(canvas: HTMLElement) {
    const { signal } = this.#abort;
    document.addEventListener("keydown", (event) => this.#pressed(event), { signal });
    document.addEventListener("keyup", ({ code }) => this.#held.delete(code), { signal });
    addEventListener("blur", () => this.#held.clear(), { signal });
    canvas.addEventListener("pointerdown", (event) => this.#touched(canvas, event), { signal });
    canvas.addEventListener("pointermove", (event) => this.#drawn(event), { signal });
    for (const end of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(end, ({ pointerId }) => this.#lifted(pointerId), { signal });
  }

  get stick(): Stick | null {
    return this.#stick;
  }

  /** The player's move in this step. */
  move(): Move {
    const dash = this.#wantsDash || [...this.#held].some((code) => DASH_KEYS.has(code));
    this.#wantsDash = false;
    return { ...(this.#stick === null ? this.#keys() : thrustOf(this.#stick)), dash };
  }

  /** Whether the player fires in this step. */
  takeZap(): boolean {
    const wants = this.#wantsZap;
    this.#wantsZap = false;
    return wants;
  }

  close(): void {
    this.#abort.abort();
  }

  #keys(): Move {
    let [x, y] = [0, 0];
    for (const code of this.#held) {
      const key = KEYS[code];
      if (key === undefined) continue;
      x += key.x;
      y += key.y;
    }
    return { ...NO_MOVE, x: MAX_AXIS * Math.sign(x), y: MAX_AXIS * Math.sign(y) };
  }

  #pressed(event: KeyboardEvent): void {
    // Keys that are typed into a field, or move a slider, do not steer the ship.
    if (event.target instanceof HTMLInputElement || event.metaKey || event.ctrlKey) return;
    if (event.code === ZAP_KEY) this.#wantsZap = true;
    const isDash = DASH_KEYS.has(event.code);
    if (!isDash && !(event.code in KEYS)) return;
    event.preventDefault();
    this.#held.add(event.code);
    if (isDash) this.#wantsDash = true;
  }

  #touched(canvas: HTMLElement, { pointerId, offsetX: x, offsetY: y }: PointerEvent): void {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    if (this.#stick !== null) {
      this.#wantsDash = true;
      return;
    }
    canvas.setPointerCapture(pointerId);
    this.#stick = { pointerId, from: { x, y }, to: { x, y } };
  }

  #drawn({ pointerId, offsetX: x, offsetY: y }: PointerEvent): void {
    if (this.#stick?.pointerId === pointerId) this.#stick = { ...this.#stick, to: { x, y } };
  }

  #lifted(pointerId: number): void {
    if (this.#stick?.pointerId === pointerId) this.#stick = null;
  }
}

function thrustOf({ from, to }: Stick): Move {
  const axis = (drawn: number): number =>
    Math.min(MAX_AXIS, Math.max(-MAX_AXIS, Math.round((drawn / STICK_PX) * MAX_AXIS)));
  return { ...NO_MOVE, x: axis(to.x - from.x), y: axis(to.y - from.y) };
}
