import { connectShard, interpolate, type ShardClient } from "@pylonsync/sync/shards";
import type { ArenaView } from "../game/match.ts";
import { TICK_RATE, ZAP_RADIUS, ZAP_REACH } from "../game/rules.ts";
import type { Move } from "../game/ship.ts";
import { whole } from "../game/whole.ts";
import type { Aim } from "../game/zap.ts";
import { HitCount } from "./hit-count.ts";
import { OwnShip, STEP_MS } from "./own-ship.ts";
import { sceneBetween, sceneOf, type Scene, type SceneShip } from "./scene.ts";
import { slowNetwork, type NetworkSettings } from "./slow-network.ts";

/** The display settings, which the player may change. */
export interface Settings extends NetworkSettings {
  readonly predicts: boolean;
  readonly interpolates: boolean;
  readonly showsServer: boolean;
}

export interface GameOptions {
  readonly shardId: string;
  readonly baseUrl: string;
  readonly userId: string;
  /** A spectator has no ship, and sees the whole arena. */
  readonly role: "player" | "spectator";
  readonly token: string;
  readonly settings: () => Settings;
  /** Returns the player's current move. */
  readonly move: () => Move;
  /** Whether the player fires now. */
  readonly takesZap: () => boolean;
}

/** The input for a step: the move, and the target of the beam. */
type Input = Move & { readonly aim?: Aim };

/** A frame of the game, with its statistics. */
export interface Frame {
  readonly view: ArenaView;
  readonly scene: Scene;
  /** The ships' last known positions on the server. */
  readonly server: Scene | null;
  /** The place of the player; -1 for none. */
  readonly own: number;
  readonly pending: number;
  readonly corrected: number;
  /** The delay of the other ships behind the last received view, in milliseconds. */
  readonly behindMs: number;
  /** The own beams that hit, and those of them that hit only where the ship was seen. */
  readonly hits: number;
  readonly rewound: number;
}

/** The reason of a lost connection. */
export interface Problem {
  readonly reason: string;
  readonly willReturn: boolean;
}

/** The game from one player's view: the others are shown with a short delay, the own ship ahead. */
export class GameClient {
  readonly #options: GameOptions;
  readonly #shard: ShardClient<ArenaView, Input>;
  readonly #views = interpolate<ArenaView>({ tickRate: TICK_RATE });
  #view: ArenaView | null = null;
  #tick = 0;
  #ship: OwnShip | null = null;
  #shownAt = performance.now();
  /** The scene on the screen, at which the player aims. */
  #shown: { readonly scene: Scene; readonly tick: number } | null = null;
  readonly #hits = new HitCount();

  constructor(options: GameOptions) {
    const { shardId, baseUrl, userId, role, token, settings } = options;
    this.#options = options;
    this.#shard = connectShard(shardId, {
      baseUrl,
      token,
      subscriberId: userId,
      role,
      platform: slowNetwork(settings),
    });
    this.#shard.onSnapshot((view, tick, ack) => this.#receive(view, tick, ack));
  }

  /**
   * Calls the listener with the reason of a lost connection, and whether it is retried; with null
   * once connected.
   */
  onProblem(listener: (problem: Problem | null) => void): void {
    this.#shard.onOpen(() => listener(null));
    this.#shard.onClose((reason, willReturn) => listener({ reason, willReturn }));
  }

  close(): void {
    this.#shard.close();
  }

  /** The frame to draw now; null before the first view. */
  frame(nowMs: number): Frame | null {
    const elapsedMs = nowMs - this.#shownAt;
    this.#shownAt = nowMs;
    const moment = this.#views.at(nowMs);
    const view = this.#view;
    if (view === null || moment === null) return null;
    if (view.pause === 0 && this.#shard.connected) this.#ship?.pass(elapsedMs, () => this.#fly());
    const { predicts, interpolates, showsServer } = this.#options.settings();
    const scene = interpolates ? sceneBetween(moment) : sceneOf(view);
    const own = this.#placeIn(view);
    const shown = predicts ? this.#withOwn(scene, own) : scene;
    this.#shown = { scene: shown, tick: interpolates ? moment.tick : this.#tick };
    return {
      view,
      scene: shown,
      server: showsServer ? sceneOf(view) : null,
      own,
      pending: this.#ship?.pending ?? 0,
      corrected: this.#ship?.corrected ?? 0,
      behindMs: interpolates ? Math.max(0, this.#tick - moment.tick) * STEP_MS : 0,
      hits: this.#hits.all,
      rewound: this.#hits.rewound,
    };
  }

  #fly(): { seq: number; move: Move } {
    const move = this.#options.move();
    const shown = this.#shown;
    const wantsZap = this.#options.takesZap();
    const aim = wantsZap && shown !== null ? this.#aimIn(shown.scene) : null;
    if (aim === null || shown === null) return { seq: this.#shard.send(move), move };
    return { seq: this.#shard.send({ ...move, aim }, shown.tick), move };
  }

  #receive(view: ArenaView, tick: number, ack: number | null): void {
    const isOther = this.#view?.seed !== view.seed;
    this.#view = view;
    this.#tick = tick;
    this.#hits.look(view, this.#placeIn(view));
    this.#views.add(view, tick, performance.now());
    const ship = view.ships[this.#placeIn(view)] ?? null;
    if (ship === null) this.#ship = null;
    else if (this.#ship === null || isOther) this.#ship = new OwnShip(ship);
    else this.#ship.reconcile(ship, ack);
  }

  /** Aims at the nearest ship, at its position on the screen. */
  #aimIn({ ships }: Scene): Aim | null {
    const own = this.#view === null ? -1 : this.#placeIn(this.#view);
    const from = ships.find(({ place }) => place === own);
    if (from === undefined) return null;
    const away = (one: SceneShip): number => Math.hypot(one.x - from.x, one.y - from.y);
    const [nearest] = ships
      .filter((one) => one.place !== own && away(one) < ZAP_REACH - ZAP_RADIUS)
      .toSorted((one, other) => away(one) - away(other));
    return nearest === undefined ? null : { x: whole(nearest.x), y: whole(nearest.y) };
  }

  #placeIn(view: ArenaView): number {
    const { role, userId } = this.#options;
    return role === "spectator" ? -1 : view.pilots.indexOf(userId);
  }

  /** Replaces the interpolated own ship with the predicted one. */
  #withOwn(scene: Scene, own: number): Scene {
    if (this.#ship === null) return scene;
    const others = scene.ships.filter(({ place }) => place !== own);
    return { ...scene, ships: [...others, { ...this.#ship.shown, place: own }] };
  }
}
