import { db } from "@pylonsync/react";
import { useEffect } from "react";
import type { Message, ReadMark } from "../pylon.client.ts";
import { useIsVisible } from "./use-is-visible.ts";

/** Moves the read mark to the newest message while the page is visible. */
export function useMarkRead(mark: ReadMark | undefined, messages: readonly Message[]): void {
  const isVisible = useIsVisible();
  const newest = messages.findLast(({ createdAt }) => createdAt)?.createdAt ?? "";
  const markId = mark?.id;
  const isUnread = mark !== undefined && newest > mark.readAt;
  useEffect(() => {
    if (isVisible && isUnread && markId !== undefined)
      void db.update("ReadMark", markId, { readAt: newest });
  }, [isVisible, isUnread, markId, newest]);
}
