import { createPylonHandler } from "@pylonsync/next/handler";

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = createPylonHandler();
