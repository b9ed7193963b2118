import { shard, v } from "@pylonsync/functions";

const SIZE = 1000;
const start = { x: SIZE / 2, y: SIZE / 2 };

/**
 * The same as bench/lib/colyseus-server.mjs: every player moves in each step, in the direction that
 * it last sent.
 */
export default shard({
  tickRate: 20,
  maxPlayers: 1000,
  graceSeconds: 0,
  input: v.object({ dx: v.int(), dy: v.int() }),
  init: () => {
    const players: Record<string, { x: number; y: number }> = {};
    const directions: Record<string, { dx: number; dy: number }> = {};
    return { players, directions };
  },
  onJoin: ({ players, directions }, { id }) => {
    players[id] = { ...start };
    directions[id] = { dx: 1, dy: 1 };
  },
  onLeave: ({ players, directions }, { id }) => {
    delete players[id];
    delete directions[id];
  },
  onInput: ({ directions }, { id }, { dx, dy }) => {
    directions[id] = { dx, dy };
  },
  tick: ({ players, directions }) => {
    for (const [id, { dx, dy }] of Object.entries(directions)) {
      const player = players[id] ?? start;
      player.x = (player.x + dx + SIZE) % SIZE;
      player.y = (player.y + dy + SIZE) % SIZE;
    }
  },
  view: ({ players }) => ({ players }),
});
