import { shard, v } from "@pylonsync/functions";

export default shard({
  tickRate: 50,
  graceSeconds: 0,
  maxPlayers: 3,
  inputRate: 100,
  instances: true,
  input: v.object({ add: v.int() }),
  init: () => {
    const scores: Record<string, number> = {};
    return { scores, steps: 0 };
  },
  onJoin: ({ scores }, { id }) => {
    scores[id] ??= 0;
  },
  onLeave: ({ scores }, { id }) => {
    delete scores[id];
  },
  onInput: ({ scores }, { id }, { add }, step) => {
    if (add === 13) throw step.refuse("UNLUCKY", "Not that one.");
    if (add === 14) throw new Error("a fault of the app");
    if (add === 99) step.kick(id, "cheater");
    if (add === 100) step.finish();
    scores[id] = (scores[id] ?? 0) + add;
  },
  tick: (state) => {
    state.steps += 1;
  },
  view: ({ scores }) => ({ scores }),
});
