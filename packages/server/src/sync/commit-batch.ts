import { MAX_RESULT_BYTES } from "@pylonsync/protocol";
import type { BroadcastGroup } from "../connections/broadcast-group.ts";
import type { Outbox } from "../connections/outbox.ts";
import type { Subscriber } from "../connections/subscriber.ts";
import type { Effect } from "./delivery.ts";
import type { Subscription } from "./subscriptions/subscription.ts";
import { RowMessage } from "./change-messages.ts";

/** The effect of all changes of a batch on one row of a subscription. */
interface NetEffect {
  readonly subscription: Subscription;
  readonly wasIn: boolean;
  readonly message: RowMessage;
}

type NetEffects = Map<string, NetEffect>;

/**
 * The effects of transactions on the subscriptions, merged so that each row is sent once, in its
 * state after the last of them. States inside a transaction are not sent: they may have been meant
 * for others.
 */
export class CommitBatch {
  readonly #bySubscription = new Map<Subscription, NetEffects>();

  add({ subscription, message, row }: Effect): void {
    let effects = this.#bySubscription.get(subscription);
    if (effects === undefined) this.#bySubscription.set(subscription, (effects = new Map()));
    const id = message.event.row_id;
    const known = effects.get(id);
    // The last change of a row determines its position.
    if (known !== undefined) effects.delete(id);
    effects.set(id, {
      subscription,
      wasIn: known?.wasIn ?? message.event.kind !== "insert",
      message: known === undefined ? message : merged(known.message, message),
    });
    if (row === null) subscription.shown?.remove(id);
    else subscription.shown?.put(row);
  }

  /** The visible rows of a subscription must be sent, although there is no effect on it. */
  touch(subscription: Subscription): void {
    if (!this.#bySubscription.has(subscription)) this.#bySubscription.set(subscription, new Map());
  }

  /** Whether rows must be read before it can be sent. */
  get needsReads(): boolean {
    for (const { root, window } of this.#bySubscription.keys())
      if (root.branches.length > 0 || window?.needsRefill === true) return true;
    return false;
  }

  /** The subscriptions with related rows of which some part is affected. */
  *trees(): Generator<Subscription> {
    const found = new Set<Subscription>();
    for (const { root } of this.#bySubscription.keys()) {
      if (root.branches.length === 0 || found.has(root)) continue;
      found.add(root);
      yield root;
    }
  }

  /** The subscriptions whose windows must be refilled. */
  *lacking(): Generator<Subscription> {
    for (const subscription of this.#bySubscription.keys())
      if (subscription.window?.needsRefill === true) yield subscription;
  }

  /** Discards the effects on a subscription, because it is read again. */
  drop(subscription: Subscription): void {
    this.#bySubscription.delete(subscription);
  }

  /**
   * Sends everything: one message per row to replicas (version 1), one for all rows to members.
   *
   * @param seq the number of the last change
   * @param outbox receives the messages to single connections; the caller flushes it
   * @returns the number of messages, and the subscriptions that the commit changes too much to be
   *   sent in one message: they must be read again
   */
  send(
    seq: number,
    outbox: Outbox,
  ): { readonly sent: number; readonly tooLarge: readonly Subscription[] } {
    const tooLarge: Subscription[] = [];
    const sent = this.#sendToReplicas(outbox) + this.#sendToMembers(seq, outbox, tooLarge);
    this.#bySubscription.clear();
    return { sent, tooLarge };
  }

  #sendToReplicas(outbox: Outbox): number {
    const effects: NetEffect[] = [];
    for (const [{ replicas }, netEffects] of this.#bySubscription)
      if (replicas.size > 0)
        for (const net of netEffects.values()) if (mustBeSent(net)) effects.push(net);
    if (effects.length > 1) effects.sort((a, b) => a.message.event.seq - b.message.event.seq);
    let sent = 0;
    for (const { subscription, message } of effects) {
      subscription.replicas.send(message.text, outbox);
      sent += subscription.replicas.size;
    }
    return sent;
  }

  #sendToMembers(seq: number, outbox: Outbox, tooLarge: Subscription[]): number {
    const fragments: { readonly members: BroadcastGroup; readonly text: string }[] = [];
    for (const [subscription, nets] of this.#bySubscription) {
      const { members } = subscription;
      const text = members.size === 0 ? null : fragment(subscription, nets);
      if (text === null) continue;
      if (text.length > MAX_RESULT_BYTES) tooLarge.push(subscription);
      else fragments.push({ members, text });
    }
    const [first] = fragments;
    if (first === undefined) return 0;
    if (fragments.length === 1) {
      first.members.send(commitText(seq, first.text), outbox);
      return first.members.size;
    }
    const parts = new Map<Subscriber, string>();
    for (const { members, text } of fragments)
      for (const subscriber of members) {
        const known = parts.get(subscriber);
        parts.set(subscriber, known === undefined ? text : `${known},${text}`);
      }
    const messages = new Map<string, string>();
    for (const [subscriber, changes] of parts) {
      let message = messages.get(changes);
      if (message === undefined) messages.set(changes, (message = commitText(seq, changes)));
      outbox.send(subscriber, message);
    }
    return parts.size;
  }
}

function commitText(seq: number, changes: string): string {
  return `{"type":"commit","seq":${seq},"changes":[${changes}]}`;
}

/** A row that entered and left in the same batch is not sent. */
function mustBeSent({ wasIn, message }: NetEffect): boolean {
  return wasIn || message.event.kind !== "delete";
}

/** Merges two messages about a row. */
function merged(first: RowMessage, second: RowMessage): RowMessage {
  if (second.event.kind !== "update" || first.event.kind === "delete") return second;
  return new RowMessage({
    ...second.event,
    kind: first.event.kind,
    data: { ...first.event.data, ...second.event.data },
  });
}

/** @returns null if nothing changes for the members */
function fragment(subscription: Subscription, nets: NetEffects): string | null {
  const rows: string[] = [];
  const patches: string[] = [];
  const gone: string[] = [];
  const { shown, number, visible } = subscription;
  if (shown === null) {
    for (const net of nets.values()) {
      const { event, rowText } = net.message;
      if (!mustBeSent(net)) continue;
      if (event.kind === "insert") rows.push(rowText);
      else if (event.kind === "update") patches.push(rowText);
      else gone.push(JSON.stringify(event.row_id));
    }
  } else {
    const { entered, stayed, left } = shown.flush();
    for (const row of entered) rows.push(JSON.stringify(visible(row)));
    for (const row of stayed) {
      const message = nets.get(row.id)?.message;
      if (message?.event.kind === "update") patches.push(message.rowText);
      else rows.push(JSON.stringify(visible(row)));
    }
    for (const id of left) gone.push(JSON.stringify(id));
  }
  const lists = [listOf("rows", rows), listOf("patches", patches), listOf("gone", gone)].filter(
    (text) => text !== "",
  );
  return lists.length === 0 ? null : `{"sub":${number},${lists.join()}}`;
}

function listOf(name: string, items: readonly string[]): string {
  return items.length === 0 ? "" : `"${name}":[${items.join()}]`;
}
