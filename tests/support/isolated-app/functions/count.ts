import { query } from "@pylonsync/functions";

export default query({ args: {}, handler: (ctx) => ctx.db.count("Item") });
