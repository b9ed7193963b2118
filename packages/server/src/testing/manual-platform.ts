/** A clock for tests: it is also the one of apps' tests, so it is among the published files. */
export { ManualPlatform, turn } from "../manual-platform.ts";
