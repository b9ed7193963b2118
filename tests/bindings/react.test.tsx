import { EngineProvider } from "@pylonsync/react";
import { createWriteThroughStorage } from "@pylonsync/sync";
import { conformance } from "./conformance.ts";
import { mountProbe } from "./react/probe.tsx";

conformance("react", async () => ({
  mount: (kind, config, input, onShow) =>
    mountProbe(kind, input, onShow, (probe) => (
      <EngineProvider {...config} storage={createWriteThroughStorage({}, () => undefined)}>
        {probe}
      </EngineProvider>
    )),
}));
