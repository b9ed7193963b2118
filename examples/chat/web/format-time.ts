const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "numeric",
  minute: "2-digit",
});

/** The time of a message among messages of other days, such as 3 Mar, 14:05. */
export function dateAndClockOf(createdAt: string): string {
  return DATE_AND_TIME.format(new Date(createdAt));
}

/** The time of a message, such as 14:05. */
export function clockOf(createdAt: string): string {
  return TIME.format(new Date(createdAt));
}

/** The day of a message, such as Monday, 3 March; today for a message that is not sent yet. */
export function dayOf(createdAt: string | null): string {
  return DAY.format(createdAt ? new Date(createdAt) : new Date());
}
