import { useEffect, useLayoutEffect, useRef, type RefObject } from "react";

/** A message that stays where it is; null where the end stays in sight. */
type Anchor = { readonly element: HTMLElement; readonly top: number } | null;

/** How far from the end still counts as the end, in pixels. */
const NEAR_END = 40;

/**
 * Keeps a list that is read from its end where it is: at the end, while new items come; else the
 * first item in sight stays in its place, while others come before or after it.
 *
 * @param box what scrolls; its items are the elements with `data-item`
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
    // The box gets smaller when a long message is written below it.
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
