/** What a call does to a member, named as the message that tells of it. */
export type ChangeKind = "join" | "leave" | "presence";

interface UnheardChange {
  readonly kind: ChangeKind;
  /** What it did, once it was answered; null for nothing, of which nobody tells. */
  effect: (() => void) | null;
  /** The backend was lost before the answer. */
  isLate: boolean;
}

/**
 * Changes that were asked of the backend and that its channel has not told of yet. A table learns
 * of a change by the channel, in the order in which everybody hears it; when the backend is lost
 * after the answer and before that, the effect takes place here: it would be forgotten for good.
 */
export class UnheardChanges {
  /** By member. */
  readonly #changes = new Map<string, readonly UnheardChange[]>();

  /**
   * Asks for a change.
   *
   * @param member names the member among all
   * @param effectOf what the answer did; null for nothing
   * @param isOvertaken whether something newer is known of the member, should the answer come after
   *   a loss
   */
  async ask<T>(
    kind: ChangeKind,
    member: string,
    ask: () => Promise<T>,
    effectOf: (answer: T) => (() => void) | null,
    isOvertaken: () => boolean,
  ): Promise<T> {
    const change: UnheardChange = { kind, effect: null, isLate: false };
    this.#changes.set(member, [...(this.#changes.get(member) ?? []), change]);
    try {
      const answer = await ask();
      change.effect = effectOf(answer);
      if (change.isLate && !isOvertaken()) change.effect?.();
      return answer;
    } finally {
      if (change.effect === null) this.#forget(member, (other) => other === change);
    }
  }

  /** The channel has told of the oldest such change: it tells in the order of the calls. */
  heard(kind: ChangeKind, member: string): void {
    this.#forget(member, (change) => change.kind === kind);
  }

  /** The members of which such a change was answered, and not told yet. */
  *answered(kind: ChangeKind): Iterable<string> {
    for (const [member, changes] of this.#changes)
      if (changes.some((change) => change.kind === kind && change.effect !== null)) yield member;
  }

  /** The channel tells of nothing any more. */
  lost(): void {
    for (const change of [...this.#changes.values()].flat()) {
      change.effect?.();
      change.isLate = true;
    }
    this.#changes.clear();
  }

  #forget(member: string, isMeant: (change: UnheardChange) => boolean): void {
    const changes = this.#changes.get(member) ?? [];
    const oldest = changes.find(isMeant);
    const left = changes.filter((change) => change !== oldest);
    if (left.length === 0) this.#changes.delete(member);
    else this.#changes.set(member, left);
  }
}
