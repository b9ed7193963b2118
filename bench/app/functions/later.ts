import { internalMutation } from "@pylonsync/functions";

export default internalMutation({ args: {}, handler: () => null });
