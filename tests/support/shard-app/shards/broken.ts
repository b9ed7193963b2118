import { shard, v } from "@pylonsync/functions";

export default shard({
  tickRate: 60,
  input: v.object({}),
  init: () => ({ n: 0 }),
  tick: () => {
    throw new Error("always");
  },
  view: (state) => state,
});
