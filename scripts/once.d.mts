export function makeOnce(lock: string, isThere: () => boolean, make: () => void): void;
