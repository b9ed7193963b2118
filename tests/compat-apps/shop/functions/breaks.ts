import { query } from "@pylonsync/functions";

export default query({
  args: {},
  async handler() {
    throw new Error("a mistake of the shop");
  },
});
