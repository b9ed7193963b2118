/** A clock for tests. Apps' tests use it too, so it is among the published files. */
export { ManualPlatform, turn } from "../manual-platform.ts";
