import { workflow } from "@pylonsync/workflows";

export default workflow<{ readonly count: number }>("steps", async (ctx, { step }) => {
  for (let index = 0; index < ctx.input.count; index += 1) await step(`step ${index}`, () => index);
});
