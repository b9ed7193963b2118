import {
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type RefObject,
} from "react";

/** The space between the button and the panel, and around it, in pixels. */
const GAP = 8;

/** A button and the panel that it opens. */
export interface Panel {
  readonly isOpen: boolean;
  /** The side with more space. */
  readonly side: "left" | "right";
  readonly id: string;
  readonly box: RefObject<HTMLDivElement | null>;
  readonly button: RefObject<HTMLButtonElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  readonly toggle: () => void;
  readonly close: () => void;
  /** For the element around both: Escape closes the panel. */
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

/** Opens and closes a panel: with its button, Escape, or a click elsewhere. */
export function usePanel(): Panel {
  const [isOpen, setOpen] = useState(false);
  const [side, setSide] = useState<"left" | "right">("right");
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (!isOpen) return undefined;
    const onPress = ({ target }: PointerEvent): void => {
      if (target instanceof Node && box.current?.contains(target) === false) setOpen(false);
    };
    document.addEventListener("pointerdown", onPress);
    return () => document.removeEventListener("pointerdown", onPress);
  }, [isOpen]);
  useLayoutEffect(() => {
    const [opener, panel] = [button.current, content.current];
    return isOpen && opener !== null && panel !== null ? lift(opener, panel, side) : undefined;
  }, [isOpen, side]);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const toggle = (): void => {
    const { left = 0 } = button.current?.getBoundingClientRect() ?? {};
    setSide(left < document.documentElement.clientWidth / 2 ? "left" : "right");
    setOpen(!isOpen);
  };
  const onKeyDown = ({ key }: KeyboardEvent): void => {
    if (key === "Escape" && isOpen) close();
  };
  return { isOpen, side, id, box, button, content, toggle, close, onKeyDown };
}

/**
 * Shows the panel above everything else on the page: a sidebar that scrolls would clip it. It stays
 * at its button. In a browser without popovers, the style sheet places it.
 */
function lift(
  button: HTMLElement,
  panel: HTMLElement,
  side: Panel["side"],
): (() => void) | undefined {
  if (typeof panel.showPopover !== "function") return undefined;
  panel.popover = "manual";
  panel.showPopover();
  const place = (): void => {
    const { left, right, bottom } = button.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const distance = side === "left" ? left : clientWidth - right;
    const most = Math.max(GAP, clientWidth - panel.offsetWidth - GAP);
    const { style } = panel;
    style.position = "fixed";
    style.inset = "auto";
    style.margin = "0";
    style.top = `${bottom + GAP}px`;
    style[side] = `${Math.min(Math.max(GAP, distance), most)}px`;
    style.maxHeight = `${Math.max(0, clientHeight - bottom - 2 * GAP)}px`;
  };
  place();
  window.addEventListener("resize", place);
  // Also when an element around the button scrolls.
  window.addEventListener("scroll", place, { capture: true, passive: true });
  return () => {
    window.removeEventListener("resize", place);
    window.removeEventListener("scroll", place, { capture: true });
    panel.popover = null;
  };
}
