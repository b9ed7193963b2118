import { shard, v } from "@pylonsync/functions";

/** Its inputs trigger what no shard should do. */
export default shard({
  tickRate: 50,
  saveSeconds: 0,
  instances: true,
  isolate: true,
  input: v.object({ how: v.string() }),
  init: () => ({ inputs: 0 }),
  onInput: (state, _player, { how }) => {
    state.inputs += 1;
    if (how === "loop") for (;;) state.inputs += 0;
    if (how === "exit") process.exit(3);
    if (how === "crash")
      queueMicrotask(() => {
        throw new Error("a fault beside the step");
      });
  },
  view: (state) => state,
});
