const UNITS: Readonly<Record<string, number>> = {
  "": 1_000,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Parses a duration such as `30s`, `5m`, `24h`, `1d` or `90` (seconds). Returns milliseconds.
 *
 * @throws TypeError for any other text
 * @example
 * parseDuration("5m"); // 300_000
 */
export function parseDuration(text: string): number {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(String(text)) ?? [];
  const factor = UNITS[unit];
  if (amount !== "" && factor !== undefined) return Math.round(Number(amount) * factor);
  throw new TypeError(
    `"${String(text).slice(0, 80)}" is not a duration: write 30s, 5m, 24h, 1d, or 90 for seconds.`,
  );
}
