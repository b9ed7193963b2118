/**
 * Call it before a row is removed: it moves the focus to the same control of a neighbouring row, or
 * to the field for new todos, so that keyboard and screen reader users do not start at the top of
 * the page again.
 */
export function keepFocus(control: HTMLElement): void {
  const same = [
    ...document.querySelectorAll<HTMLElement>(
      `.todos [data-control="${control.dataset["control"]}"]:enabled`,
    ),
  ];
  const place = same.indexOf(control);
  const next =
    same[place + 1] ?? same[place - 1] ?? document.querySelector<HTMLElement>("form input");
  next?.focus();
}
