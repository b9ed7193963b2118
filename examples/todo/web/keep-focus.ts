/**
 * Before a row goes: its neighbour's same control gets the focus, or the field for new todos, so
 * that a user who works by keyboard or hears the page read does not begin again at its top.
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
