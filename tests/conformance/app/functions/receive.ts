import { action, v } from "@pylonsync/functions";

export default action({
  args: { rawBody: v.string() },
  handler: (ctx, { rawBody }) => ({
    rawBody,
    method: ctx.request?.method ?? null,
    userId: ctx.auth.userId,
  }),
});
