/** An element of the page for a component to be shown in. */
export function container(): HTMLElement {
  const element = document.createElement("div");
  document.body.append(element);
  return element;
}
