import { init, type AsyncStorageModule, type NetInfoModule } from "@pylonsync/react-native";
import { conformance } from "./conformance.ts";
import { mountProbe } from "./react/probe.tsx";

/** An AsyncStorage that exists as long as the component. */
function asyncStorage(): AsyncStorageModule {
  const texts = new Map<string, string>();
  return {
    getAllKeys: async () => [...texts.keys()],
    multiGet: async (keys) => keys.map((key) => [key, texts.get(key) ?? null] as const),
    multiSet: async (pairs) => pairs.forEach(([key, text]) => texts.set(key, text)),
    multiRemove: async (keys) => keys.forEach((key) => texts.delete(key)),
  };
}

const netInfo: NetInfoModule = {
  addEventListener: (listener) => {
    listener({ type: "wifi", isConnected: true });
    return () => undefined;
  },
};

conformance("react native", async () => ({
  async mount(kind, config, input, onShow) {
    await init({ ...config, native: { asyncStorage: asyncStorage(), netInfo } });
    return mountProbe(kind, input, onShow, (probe) => probe);
  },
}));
