import { query } from "@pylonsync/functions";

export default query({
  args: {},
  isolate: true,
  handler: () => {
    const eaten: Uint8Array[] = [];
    for (let index = 0; index < 50; index += 1) eaten.push(new Uint8Array(10_000_000).fill(1));
    return eaten.length;
  },
});
