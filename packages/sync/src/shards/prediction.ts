/** The options of `predict`. */
export interface PredictionOptions<State, Input> {
  /** The state before the first one from the server. */
  readonly state: State;
  /**
   * Applies an input exactly like the server: returns a new state that only depends on the two
   * arguments.
   */
  readonly step: (state: State, input: Input) => State;
  /** The maximum number of inputs to keep until the server has applied them. Default 240. */
  readonly maxPending?: number;
}

/** A client's prediction of its own part of the state. */
export interface Prediction<State, Input> {
  /** The last state from the server, with all inputs applied that it did not include. */
  readonly state: State;
  /** The number of inputs that the server has not applied yet. */
  readonly pending: number;
  /** Applies an input immediately. @param seq the return value of `send` */
  apply(seq: number, input: Input): void;
  /**
   * Takes the server's state, and applies again the inputs that it does not include.
   *
   * @param ack the number of the last included input; null: none yet
   * @returns the previous prediction; if the new state differs, it was wrong
   */
  reconcile(state: State, ack: number | null): State;
}

const MAX_PENDING = 240;

/**
 * Predicts the results of a client's own inputs, so that they show immediately, and corrects itself
 * with the server's states.
 *
 * @example
 * const ship = predict({ state: { x: 0 }, step: ({ x }, dx: number) => ({ x: x + dx }) });
 * ship.apply(1, 5);
 * ship.apply(2, 5);
 * ship.reconcile({ x: 4 }, 1);
 * console.log(ship.state.x, ship.pending); // 9 1
 */
export function predict<State, Input>({
  state: first,
  step,
  maxPending = MAX_PENDING,
}: PredictionOptions<State, Input>): Prediction<State, Input> {
  let state = first;
  let pending: { readonly seq: number; readonly input: Input }[] = [];
  return {
    get state() {
      return state;
    },
    get pending() {
      return pending.length;
    },
    apply(seq, input) {
      pending.push({ seq, input });
      if (pending.length > maxPending) pending.shift();
      state = step(state, input);
    },
    reconcile(said, ack) {
      const before = state;
      if (ack !== null) pending = pending.filter(({ seq }) => seq > ack);
      state = pending.reduce((now, { input }) => step(now, input), said);
      return before;
    },
  };
}
