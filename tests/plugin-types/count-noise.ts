import { query } from "@pylonsync/functions";

/** A function of the app's plugin declares its result, because the app's type contains it. */
export const countNoise = query({
  args: {},
  handler: (ctx): Promise<number> => ctx.db.count("Noise", { level: 1 }),
});
