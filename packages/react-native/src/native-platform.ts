import type { Platform } from "@pylonsync/sync";
import { openTextDisk } from "@pylonsync/sync/text-disk";
import type { NativeModules } from "./native-modules.ts";
import type { Network } from "./network.ts";
import { textsOf } from "./texts.ts";

/** The platform functions of a device, in place of those of a browser. */
export function nativePlatform(native: NativeModules, network: Network): Partial<Platform> {
  const { sqlite, mmkv, asyncStorage } = native;
  const texts = textsOf({ sqlite, ...(sqlite === undefined ? { mmkv, asyncStorage } : {}) });
  return {
    onOnline: (run) =>
      network.onChange((before) => {
        const { isOnline, connectionType } = network.status();
        // Also for a change of network: connections over the previous one are dead.
        const isOther = ![connectionType, "unknown"].includes(before.connectionType);
        if (isOnline && (!before.isOnline || isOther)) run();
      }),
    onOffline: (run) =>
      network.onChange((before) => {
        if (before.isOnline && !network.status().isOnline) run();
      }),
    onShown: (run) => {
      const listening = native.appState?.addEventListener("change", (state) => {
        if (state === "active") run();
      });
      return () => listening?.remove();
    },
    randomBytes: (bytes) => randomBytes(bytes, native.getRandomValues),
    openDisk: texts === null ? null : (appName, server) => openTextDisk(texts, appName, server),
    tabs: null,
  };
}

/** For ids, which must be unique but not secret. */
function randomBytes(
  bytes: Uint8Array,
  fill: NativeModules["getRandomValues"] = globalThis.crypto?.getRandomValues.bind(crypto),
): void {
  if (fill === undefined)
    for (let index = 0; index < bytes.length; index += 1)
      bytes[index] = Math.floor(Math.random() * 256);
  else fill(bytes as Uint8Array<ArrayBuffer>);
}
