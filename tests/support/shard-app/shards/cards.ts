import { shard, v } from "@pylonsync/functions";

export default shard({
  tickRate: 0,
  idleSeconds: 1,
  graceSeconds: 0,
  saveSeconds: 1,
  input: v.object({ card: v.string() }),
  init: () => {
    const hands: Record<string, string[]> = {};
    return { hands, played: 0 };
  },
  onInput: (state, { id }, { card }) => {
    (state.hands[id] ??= []).push(card);
    state.played += 1;
  },
  viewFor: ({ hands, played }, { id }) => ({ hand: hands[id] ?? [], played }),
});
