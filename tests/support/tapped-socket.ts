import { systemPlatform, type Socket } from "@pylonsync/sync";

/** What a test does with what passes through a socket. By default, everything is passed on. */
export interface Tap {
  /** @param pass sends the text to the server */
  readonly onSend?: (text: string, pass: () => void) => void;
  /**
   * @param pass hands the message to the engine, or another one in its place
   * @param socket the connection to the server
   */
  readonly onMessage?: (text: string, pass: (changed?: string) => void, socket: Socket) => void;
  /** Called before the engine learns that the socket was closed. */
  readonly onClose?: (code: number) => void;
}

/** Opens a socket for an engine, through which a test sees, changes or holds what passes. */
export function tappedSocket(url: string, protocols: string[], tap: Tap): Socket {
  const inner = systemPlatform.openSocket(url, protocols);
  const { onSend, onMessage, onClose } = tap;
  const outer: Socket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (text) => {
      const pass = (): void => inner.send(text);
      if (onSend === undefined) pass();
      else onSend(text, pass);
    },
    close: (code, reason) => inner.close(code, reason),
  };
  inner.onopen = () => outer.onopen?.();
  inner.onerror = () => outer.onerror?.();
  inner.onmessage = ({ data }) => {
    const text = String(data);
    const pass = (changed = text): void => outer.onmessage?.({ data: changed });
    if (onMessage === undefined) pass();
    else onMessage(text, pass, inner);
  };
  inner.onclose = (event) => {
    onClose?.(event.code);
    outer.onclose?.(event);
  };
  return outer;
}
