import { action } from "@pylonsync/functions";

export default action({ args: {}, handler: () => ({ ok: true }) });
