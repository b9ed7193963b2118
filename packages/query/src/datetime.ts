const DAY = /(?<day>\d{4}-\d{2}-\d{2})/;
const TIME = /[T ](?<minute>\d{2}:\d{2})(?::(?<second>\d{2})(?:\.(?<fraction>\d{1,9}))?)?/;
const ZONE = /(?:Z|(?<sign>[+-])(?<hours>[01]\d|2[0-3]):?(?<minutes>[0-5]\d))/;
const ISO_DATE = new RegExp(`^${DAY.source}(?:${TIME.source}${ZONE.source}?)?$`);

/**
 * The one form of a datetime: ISO 8601 in UTC with milliseconds and Z, so that text order is time
 * order.
 *
 * @returns undefined when the text is not an ISO 8601 date or date and time of the years 1 to 9999;
 *   without a zone it is UTC
 */
export function normaliseDatetime(text: string): string | undefined {
  const parts = ISO_DATE.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const {
    day,
    minute = "00:00",
    second = "00",
    fraction = "",
    sign,
    hours = "0",
    minutes = "0",
  } = parts;
  const local = `${day}T${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}Z`;
  const time = Date.parse(local);
  // Engines differ on what they make of 30 February: a real date reads back as it was written.
  if (Number.isNaN(time) || new Date(time).toISOString() !== local) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
  const normal = new Date(time - offset).toISOString();
  return normal.length === local.length && !normal.startsWith("0000") ? normal : undefined;
}
