import type { ShardDefinition } from "@pylonsync/functions";
import { InterestGrid } from "./interest-grid.ts";
import { InterestView } from "./interest-view.ts";
import type { ShardConnection } from "./shard-connection.ts";
import { tickRateOf, type Simulation } from "@pylonsync/functions/simulation";
import { ViewChannel } from "./view-channel.ts";

/** Connections that are sent the same steps: each, every second one, and so on. */
class ViewGroup {
  readonly connections = new Set<ShardConnection>();
  /** What all of them see, or all spectators. */
  readonly shared = new ViewChannel();
  /** By player, where each has a view of their own. */
  readonly own = new Map<string, ViewChannel>();
  /** By connection, where each sees what is near. */
  readonly near = new Map<ShardConnection, InterestView>();
  readonly grid: InterestGrid | null;
  /** Steps from one view to the next. */
  readonly period: number;
  /** Of the view that was taken last; -1 before the first. */
  tick = -1;

  constructor(period: number, { interest }: ShardDefinition) {
    this.period = period;
    this.grid = interest === undefined ? null : new InterestGrid(interest);
  }
}

/**
 * What the connections of one shard see of it: the same view, one of their own, or what is near. A
 * view is taken and encoded once for all who are sent the same.
 */
export class ShardViews {
  readonly #simulation: Simulation;
  /** By how many steps lie between two views. */
  readonly #groups = new Map<number, ViewGroup>();
  readonly #groupOf = new Map<ShardConnection, ViewGroup>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Takes a connection in, to whom the view is to be delivered at once. */
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

  /** Other code may show something else: all are sent the whole view once more. */
  replace(): void {
    const connections = [...this.#groupOf.keys()];
    this.#groups.clear();
    this.#groupOf.clear();
    for (const connection of connections) {
      connection.forgetView();
      this.add(connection);
    }
  }

  /** All that were taken in; one may be removed meanwhile. */
  get connections(): Iterable<ShardConnection> {
    return this.#groupOf.keys();
  }

  /** Takes the view for all whose turn it is. @throws what the app's code throws */
  show(): void {
    for (const [period, group] of this.#groups)
      if (this.#simulation.tick % period === 0) this.#take(group);
  }

  /**
   * Sends what a connection does not have yet, in a step that is its turn.
   *
   * @returns as ShardConnection.deliver
   * @throws what the app's code throws
   */
  deliver(connection: ShardConnection, now: number): number | null {
    const group = this.#groupOf.get(connection);
    if (group === undefined || this.#simulation.tick % group.period !== 0) return 0;
    return this.#deliver(group, connection, now);
  }

  /**
   * Shows one that has just joined the shard as it is: in the newest view that its group has.
   *
   * @throws what the app's code throws
   */
  welcome(connection: ShardConnection, now: number): void {
    const group = this.#groupOf.get(connection);
    if (group === undefined) return;
    const { period } = group;
    const { tick } = this.#simulation;
    const isTaken = group.connections.size > 1 && group.tick >= tick - (tick % period);
    if (!isTaken) this.#take(group);
    this.#deliver(group, connection, now);
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
    // Where players do not see the same, spectators share what they see.
    const isForSpectators = view === undefined || group.grid !== null;
    const shown = isForSpectators ? viewForSpectators : view;
    if (shown === undefined) return;
    if (!isForSpectators || isWatched(group)) group.shared.show(shown(state));
  }

  #deliver(group: ViewGroup, connection: ShardConnection, now: number): number | null {
    const { player, role } = connection;
    const { viewFor } = this.#definition;
    if (role === "spectator") return connection.deliver(group.shared, group.tick, now);
    if (group.grid !== null) return this.#deliverNear(group, group.grid, connection, now);
    if (viewFor === undefined) return connection.deliver(group.shared, group.tick, now);
    const channel = group.own.get(player.id) ?? new ViewChannel();
    group.own.set(player.id, channel);
    channel.show(viewFor(this.#simulation.state, player));
    return connection.deliver(channel, group.tick, now);
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
    return connection.deliverNews(
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
