import { query } from "@pylonsync/functions";

export default query({
  args: {},
  handler: (ctx) => ({
    uuid: /^[0-9a-f-]{36}$/.test(ctx.uuid()),
    random: ctx.random() < 1,
    now: ctx.now > 0,
  }),
});
