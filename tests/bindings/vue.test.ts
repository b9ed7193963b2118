import { conformance } from "./conformance.ts";

// Vue uses the page that exists when it is loaded.
conformance("vue", async () => (await import("./vue/mount.ts")).binding);
