export { upsertRow } from "@pylonsync/sync";
