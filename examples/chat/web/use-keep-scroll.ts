import { useEffect, useLayoutEffect, useRef, type RefObject } from "react";

/** A message that must not move; null if the end must stay visible. */
type Anchor = { readonly element: HTMLElement; readonly top: number } | null;

/** The distance from the end that still counts as the end, in pixels. */
const NEAR_END = 40;

/**
 * Keeps the scroll position of a list that is read from its end: at the end it stays there when
 * items are added; otherwise the first visible item does not move when items are added before or
 * after it.
 *
 * @param box the scrolling element; its items are the elements with `data-item`
 */
export function useKeepScroll(box: RefObject<HTMLElement | null>): void {
  const anchor = useRef<Anchor>(null);
  useLayoutEffect(() => restore(box.current, anchor.current));
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const onScroll = (): void => {
      anchor.current = anchorOf(element);
    };
    // The box shrinks when a long message is typed below it.
    const observer = new ResizeObserver(() => restore(element, anchor.current));
    observer.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, [box]);
}

function anchorOf(box: HTMLElement): Anchor {
  if (box.scrollHeight - box.scrollTop - box.clientHeight <= NEAR_END) return null;
  const start = box.getBoundingClientRect().top;
  for (const element of box.querySelectorAll<HTMLElement>("[data-item]")) {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > start) return { element, top: top - start };
  }
  return null;
}

function restore(box: HTMLElement | null, anchor: Anchor): void {
  if (box === null) return;
  if (anchor === null) box.scrollTop = box.scrollHeight;
  else if (anchor.element.isConnected) {
    const start = box.getBoundingClientRect().top;
    box.scrollTop += anchor.element.getBoundingClientRect().top - start - anchor.top;
  }
}
