import { shard, v } from "@pylonsync/functions";

/** A map on which each player sees nearby players. */
export default shard({
  tickRate: 60,
  instances: true,
  graceSeconds: 0,
  input: v.object({ x: v.number() }),
  init: () => {
    const heroes: Record<string, { x: number; y: number }> = {};
    return { heroes };
  },
  onJoin: ({ heroes }, { id }) => {
    heroes[id] = { x: 0, y: 0 };
  },
  onLeave: ({ heroes }, { id }) => {
    delete heroes[id];
  },
  onInput: ({ heroes }, { id }, { x }) => {
    heroes[id] = { x, y: 0 };
  },
  view: ({ heroes }) => ({ heroes, size: Object.keys(heroes).length }),
  interest: {
    fields: ["heroes"],
    cellSize: 10,
    bytesPerSecond: 100_000,
    center: ({ heroes }, { id }) => heroes[id] ?? null,
  },
});
