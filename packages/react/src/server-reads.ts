import type { SyncEngine } from "@pylonsync/sync";
import { keyOf, type ServerRead } from "@pylonsync/sync/bindings";
import { useCallback, useMemo } from "react";
import { useObservable } from "./queries.ts";

/**
 * Follows a read of the server.
 *
 * @param observe starts it
 * @param first its state during server rendering and hydration
 * @param spec compared by value
 */
export function useServerRead<S extends { readonly error: Error | null }>(
  observe: (sync: SyncEngine, entity: string, spec: object) => ServerRead<S>,
  first: S,
  sync: SyncEngine,
  entity: string,
  spec: object,
): S & { readonly refresh: () => void } {
  const key = keyOf(spec);
  const read = useMemo(() => observe(sync, entity, spec), [observe, sync, entity, key]);
  const refresh = useCallback(() => read.refresh(), [read]);
  return { ...useObservable(read, first), refresh };
}
