import { shard, v } from "@pylonsync/functions";

export default shard({
  tickRate: 60,
  graceSeconds: 0,
  input: v.object({}),
  init: (step) => ({ pixels: Array.from({ length: 8000 }, () => step.random()) }),
  tick: (state, step) => {
    state.pixels = state.pixels.map(() => step.random());
  },
  view: (state) => state,
});
