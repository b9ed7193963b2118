import { memberKey, type MemberName } from "./member-key.ts";

/** What a call does to a member, with the name of its message. */
export type ChangeKind = "join" | "leave" | "presence";

/** A change that is requested from the backend. */
export interface RequestedChange<T> {
  readonly kind: ChangeKind;
  readonly member: MemberName;
  readonly send: () => Promise<T>;
  /**
   * The effect of the result on the table; null for no effect, about which the channel sends
   * nothing.
   */
  readonly effectOf: (answer: T) => (() => void) | null;
  /** Whether something newer is known of the member, if the result arrives after a loss. */
  readonly isSuperseded: () => boolean;
}

interface UnconfirmedChange {
  readonly kind: ChangeKind;
  readonly member: MemberName;
  /** The effect, once the result has arrived. */
  effect: (() => void) | null;
  /** Whether the backend was lost before the result. */
  isLate: boolean;
}

/**
 * Changes that were requested from the backend and whose messages have not arrived yet. A table
 * learns of a change from the channel, in the order in which all replicas receive it. If the
 * backend is lost after the result and before the message, the effect is applied here, because
 * otherwise it would be lost for good.
 */
export class UnconfirmedChanges {
  readonly #byMember = new Map<string, readonly UnconfirmedChange[]>();

  /** Requests a change. @returns the result @throws the errors of `send` */
  async request<T>({ kind, member, send, effectOf, isSuperseded }: RequestedChange<T>): Promise<T> {
    const key = memberKey(member);
    const change: UnconfirmedChange = { kind, member, effect: null, isLate: false };
    this.#byMember.set(key, [...(this.#byMember.get(key) ?? []), change]);
    try {
      const answer = await send();
      change.effect = effectOf(answer);
      if (change.isLate && !isSuperseded()) change.effect?.();
      return answer;
    } finally {
      if (change.effect === null) this.#forget(key, (other) => other === change);
    }
  }

  /**
   * The message of the oldest such change has arrived: messages arrive in the order of the calls.
   */
  confirm(kind: ChangeKind, member: MemberName): void {
    this.#forget(memberKey(member), (change) => change.kind === kind);
  }

  /** The members of such changes whose result has arrived, but whose message has not. */
  *answered(kind: ChangeKind): Iterable<MemberName> {
    for (const changes of this.#byMember.values()) {
      const change = changes.find((other) => other.kind === kind && other.effect !== null);
      if (change !== undefined) yield change.member;
    }
  }

  /** The backend is lost: messages about these changes will not arrive. */
  onConnectionLost(): void {
    for (const change of [...this.#byMember.values()].flat()) {
      change.effect?.();
      change.isLate = true;
    }
    this.#byMember.clear();
  }

  #forget(key: string, matches: (change: UnconfirmedChange) => boolean): void {
    const changes = this.#byMember.get(key) ?? [];
    const oldest = changes.find(matches);
    const left = changes.filter((change) => change !== oldest);
    if (left.length === 0) this.#byMember.delete(key);
    else this.#byMember.set(key, left);
  }
}
