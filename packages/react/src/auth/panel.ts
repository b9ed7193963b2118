import { useEffect, useId, useRef, useState, type KeyboardEvent, type RefObject } from "react";

/** A button and the panel that it opens. */
export interface Panel {
  readonly isOpen: boolean;
  /** The side with more space. */
  readonly side: "left" | "right";
  readonly id: string;
  readonly box: RefObject<HTMLDivElement | null>;
  readonly button: RefObject<HTMLButtonElement | null>;
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
  const id = useId();
  useEffect(() => {
    if (!isOpen) return undefined;
    const onPress = ({ target }: PointerEvent): void => {
      if (target instanceof Node && box.current?.contains(target) === false) setOpen(false);
    };
    document.addEventListener("pointerdown", onPress);
    return () => document.removeEventListener("pointerdown", onPress);
  }, [isOpen]);
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
  return { isOpen, side, id, box, button, toggle, close, onKeyDown };
}
