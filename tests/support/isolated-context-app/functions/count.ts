import { query } from "@pylonsync/functions";

export default query({ handler: (ctx) => ctx.db.count("Item") });
