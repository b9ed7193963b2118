/** The environment in which the launcher starts Bun. */
export const RUNTIME_ENV: Readonly<Record<string, string>>;
