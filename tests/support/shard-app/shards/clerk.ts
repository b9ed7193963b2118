import { shard, v } from "@pylonsync/functions";

/** Makes the calls that its players ask for, and shows their results. */
export default shard({
  tickRate: 50,
  instances: true,
  record: { access: "admin" },
  input: v.object({
    kind: v.union(v.literal("run"), v.literal("get"), v.literal("read"), v.literal("wait")),
    name: v.string(),
    args: v.optional(v.any()),
    isOwn: v.optional(v.boolean()),
  }),
  init: () => {
    const results: unknown[] = [];
    return { results };
  },
  onInput: (_state, player, { kind, name, args, isOwn = false }, step) => {
    const options = { data: args, ...(isOwn ? { as: player.id } : {}) };
    if (kind === "run") step.run(name, Object(args), options);
    else if (kind === "get") step.get(name, String(args), options);
    else if (kind === "read") step.read(name, Object(args), options);
    else step.after(Number(args), name, step.tick);
    step.log.info("clerk was asked", { kind });
  },
  onResult: ({ results }, { kind, name, value, error }, step) => {
    results.push({ kind, name, value, code: error?.code ?? null, tick: step.tick });
  },
  onTimer: ({ results }, { name, data }, step) => {
    results.push({ kind: "timer", name, value: step.tick - Number(data) });
  },
  view: ({ results }) => results,
});
