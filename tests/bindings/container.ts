/** Adds an element to the page, into which a component can be mounted. */
export function container(): HTMLElement {
  const element = document.createElement("div");
  document.body.append(element);
  return element;
}
