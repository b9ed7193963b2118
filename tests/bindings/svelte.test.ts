import { join } from "node:path";
import type { Binding } from "./binding.ts";
import { browserModule } from "./browser-module.ts";
import { conformance } from "./conformance.ts";

conformance("svelte", async () => {
  const module = await browserModule(join(import.meta.dir, "svelte", "mount.ts"));
  return (module as { readonly binding: Binding }).binding;
});
