import type { ShardDefinition } from "@pylonsync/functions";
import { InterestGrid } from "./interest-grid.ts";
import { InterestView } from "./interest-view.ts";
import type { ShardConnection } from "./shard-connection.ts";
import { tickRateOf, type Simulation } from "@pylonsync/functions/simulation";
import { ViewChannel } from "./view-channel.ts";

/** Connections that receive the views of the same steps: each step, every second one, and so on. */
export class ViewGroup {
  /** One may be removed during an iteration. */
  readonly connections = new Set<ShardConnection>();
  /** The view of all connections, or of all spectators. */
  readonly shared = new ViewChannel();
  /** The views by player, with `viewFor`. */
  readonly own = new Map<string, ViewChannel>();
  /** The views by connection, with `interest`. */
  readonly near = new Map<ShardConnection, InterestView>();
  readonly grid: InterestGrid | null;
  /** The number of steps from one view to the next. */
  readonly period: number;
  /** The tick of the last view; -1 before the first. */
  tick = -1;

  constructor(period: number, { interest }: ShardDefinition) {
    this.period = period;
    this.grid = interest === undefined ? null : new InterestGrid(interest);
  }
}

/**
 * The views of the connections of one shard: a shared one, one per player, or nearby things. A view
 * is computed and encoded once for all connections that receive it.
 */
export class ShardViews {
  readonly #simulation: Simulation;
  /** By the number of steps between two views. */
  readonly #groups = new Map<number, ViewGroup>();
  readonly #groupOf = new Map<ShardConnection, ViewGroup>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Adds a connection; the caller then calls `welcome`. */
  add(connection: ShardConnection): void {
    const period = this.#periodOf(connection);
    const known = this.#groups.get(period);
    const group = known ?? new ViewGroup(period, this.#definition);
    if (known === undefined) this.#groups.set(period, group);
    group.connections.add(connection);
    this.#groupOf.set(connection, group);
  }

  remove(connection: ShardConnection): void {
    const group = this.#groupOf.get(connection);
    if (group === undefined) return;
    this.#groupOf.delete(connection);
    group.connections.delete(connection);
    group.near.delete(connection);
    const { id } = connection.player;
    if (![...group.connections].some(({ player }) => player.id === id)) group.own.delete(id);
    if (group.connections.size === 0) this.#groups.delete(group.period);
  }

  /** Makes the next frame of a connection a full view. */
  forget(connection: ShardConnection): void {
    connection.forgetView();
    this.#groupOf.get(connection)?.near.delete(connection);
  }

  /** Sends a full view to all connections, because new code may compute other views. */
  replace(): void {
    const connections = [...this.#groupOf.keys()];
    this.#groups.clear();
    this.#groupOf.clear();
    for (const connection of connections) {
      connection.forgetView();
      this.add(connection);
    }
  }

  /** Computes the views that are due in this step. @throws the error of the app's code */
  show(): void {
    for (const group of this.#groups.values()) if (this.isDue(group)) this.#take(group);
  }

  /** All groups. One may be removed during an iteration. */
  get groups(): Iterable<ViewGroup> {
    return this.#groups.values();
  }

  /** Whether a group receives the view of this step. */
  isDue({ period }: ViewGroup): boolean {
    return this.#simulation.tick % period === 0;
  }

  /**
   * Sends a new connection the newest view of its group.
   *
   * @throws the error of the app's code
   */
  welcome(connection: ShardConnection, now: number): void {
    const group = this.#groupOf.get(connection);
    if (group === undefined) return;
    const { period } = group;
    const { tick } = this.#simulation;
    const isTaken = group.connections.size > 1 && group.tick >= tick - (tick % period);
    if (!isTaken) this.#take(group);
    this.deliver(group, connection, now);
  }

  /**
   * Sends the changes of a group's view to one of its connections.
   *
   * @returns the same as ShardConnection.deliver
   * @throws the error of the app's code
   */
  deliver(group: ViewGroup, connection: ShardConnection, now: number): number | null {
    const { viewFor } = this.#definition;
    if (connection.role === "spectator") return connection.deliver(group.shared, group.tick, now);
    if (group.grid !== null) return this.#deliverNear(group, group.grid, connection, now);
    if (viewFor === undefined) return connection.deliver(group.shared, group.tick, now);
    const { player } = connection;
    const channel = group.own.get(player.id) ?? new ViewChannel();
    group.own.set(player.id, channel);
    channel.show(viewFor(this.#simulation.state, player));
    return connection.deliver(channel, group.tick, now);
  }

  get #definition(): ShardDefinition {
    return this.#simulation.definition;
  }

  #periodOf({ outlet }: ShardConnection): number {
    const rate = tickRateOf(this.#definition);
    if (rate === 0) return 1;
    const { sendRate = rate } = this.#definition;
    return Math.max(1, Math.ceil(rate / Math.min(sendRate, outlet.rate ?? rate)));
  }

  #take(group: ViewGroup): void {
    const { view, viewForSpectators } = this.#definition;
    const { state, tick } = this.#simulation;
    group.tick = tick;
    if (group.grid !== null && view !== undefined) group.grid.show(view(state));
    // If players have different views, all spectators share one.
    const isForSpectators = view === undefined || group.grid !== null;
    const shown = isForSpectators ? viewForSpectators : view;
    if (shown === undefined) return;
    if (!isForSpectators || isWatched(group)) group.shared.show(shown(state));
  }

  #deliverNear(
    group: ViewGroup,
    grid: InterestGrid,
    connection: ShardConnection,
    now: number,
  ): number | null {
    const view = group.near.get(connection) ?? new InterestView();
    group.near.set(connection, view);
    if (!grid.isShown) return 0;
    const { state } = this.#simulation;
    const { takesDeltas } = connection.outlet;
    return connection.deliverChanges(
      () => view.next(grid, state, connection.player, { takesDeltas, now }),
      group.tick,
      now,
    );
  }
}

function isWatched({ connections }: ViewGroup): boolean {
  for (const { role } of connections) if (role === "spectator") return true;
  return false;
}
