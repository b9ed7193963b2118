import { query } from "@pylonsync/functions";

export default query({
  args: {},
  isolate: true,
  handler: () => {
    for (;;);
  },
});
