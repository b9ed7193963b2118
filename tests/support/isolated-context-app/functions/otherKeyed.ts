import { query } from "@pylonsync/functions";

export default query({ secrets: ["OTHERS_KEY"], handler: (ctx) => ctx.secrets.OTHERS_KEY });
