import { conformance } from "./conformance.ts";

// Vue takes the page that is there when it is loaded.
conformance("vue", async () => (await import("./vue/mount.ts")).binding);
