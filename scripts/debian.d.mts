export function installFromDebian(...names: readonly string[]): string | null;
