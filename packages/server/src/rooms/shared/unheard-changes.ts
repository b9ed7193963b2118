import { memberKey, type MemberName } from "./member-key.ts";

/** What a call does to a member, named as the message that tells of it. */
export type ChangeKind = "join" | "leave" | "presence";

/** A change that is asked of the backend. */
export interface AskedChange<T> {
  readonly kind: ChangeKind;
  readonly member: MemberName;
  readonly ask: () => Promise<T>;
  /** What the answer did to the table; null for nothing, of which the channel does not tell. */
  readonly effectOf: (answer: T) => (() => void) | null;
  /** Whether something newer is known of the member, should the answer come after a loss. */
  readonly isOvertaken: () => boolean;
}

interface UnheardChange {
  readonly kind: ChangeKind;
  readonly member: MemberName;
  /** What it did, once it was answered. */
  effect: (() => void) | null;
  /** The backend was lost before the answer. */
  isLate: boolean;
}

/**
 * Changes that were asked of the backend and that its channel has not told of yet. A table learns
 * of a change by the channel, in the order in which all replicas hear it; when the backend is lost
 * after the answer and before that, the effect takes place here: it would be forgotten for good.
 */
export class UnheardChanges {
  readonly #byMember = new Map<string, readonly UnheardChange[]>();

  /** Asks for a change. @returns the answer @throws what `ask` throws */
  async ask<T>({ kind, member, ask, effectOf, isOvertaken }: AskedChange<T>): Promise<T> {
    const key = memberKey(member);
    const change: UnheardChange = { kind, member, effect: null, isLate: false };
    this.#byMember.set(key, [...(this.#byMember.get(key) ?? []), change]);
    try {
      const answer = await ask();
      change.effect = effectOf(answer);
      if (change.isLate && !isOvertaken()) change.effect?.();
      return answer;
    } finally {
      if (change.effect === null) this.#forget(key, (other) => other === change);
    }
  }

  /** The channel has told of the oldest such change: it tells in the order of the calls. */
  heard(kind: ChangeKind, member: MemberName): void {
    this.#forget(memberKey(member), (change) => change.kind === kind);
  }

  /** The members of which such a change was answered, and not told yet. */
  *answered(kind: ChangeKind): Iterable<MemberName> {
    for (const changes of this.#byMember.values()) {
      const change = changes.find((other) => other.kind === kind && other.effect !== null);
      if (change !== undefined) yield change.member;
    }
  }

  /** The backend is lost: its channel will not tell of them. */
  lost(): void {
    for (const change of [...this.#byMember.values()].flat()) {
      change.effect?.();
      change.isLate = true;
    }
    this.#byMember.clear();
  }

  #forget(key: string, isMeant: (change: UnheardChange) => boolean): void {
    const changes = this.#byMember.get(key) ?? [];
    const oldest = changes.find(isMeant);
    const left = changes.filter((change) => change !== oldest);
    if (left.length === 0) this.#byMember.delete(key);
    else this.#byMember.set(key, left);
  }
}
