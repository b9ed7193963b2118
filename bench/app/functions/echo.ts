import { query, v } from "@pylonsync/functions";

export default query({ args: { count: v.int() }, handler: (_ctx, { count }) => ({ count }) });
