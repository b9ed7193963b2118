import { db } from "@pylonsync/react";
import { keepFocus } from "./keep-focus.ts";

export interface Todo {
  readonly id: string;
  readonly title: string;
  readonly done: boolean;
  readonly shared: boolean;
}

export interface TodoItemProps {
  readonly todo: Todo;
  readonly isMine: boolean;
  /**
   * Whether the list shows only open or only done todos, so that toggling removes the todo from it.
   */
  readonly leavesWhenToggled: boolean;
}

export function TodoItem({
  todo: { id, title, done, shared },
  isMine,
  leavesWhenToggled,
}: TodoItemProps) {
  return (
    <li className={done ? "done" : ""} data-testid="todo">
      <label>
        <input
          type="checkbox"
          checked={done}
          disabled={!isMine}
          data-control="done"
          onChange={({ target }) => {
            if (leavesWhenToggled) keepFocus(target);
            void db.update("Todo", id, { done: !done });
          }}
        />
        <span>{title}</span>
      </label>
      {isMine ? (
        <>
          <button
            className={shared ? "quiet on" : "quiet"}
            onClick={() => void db.update("Todo", id, { shared: !shared })}
          >
            {shared ? "Stop sharing" : "Share"}
          </button>
          <button
            className="quiet"
            aria-label={`Delete ${title}`}
            data-control="delete"
            onClick={({ currentTarget }) => {
              keepFocus(currentTarget);
              void db.delete("Todo", id);
            }}
          >
            ✕
          </button>
        </>
      ) : (
        <span className="pill">shared with you</span>
      )}
    </li>
  );
}
