import { db } from "@pylonsync/react";

export interface Todo {
  readonly id: string;
  readonly title: string;
  readonly done: boolean;
  readonly shared: boolean;
}

export function TodoItem({ todo, isMine }: { todo: Todo; isMine: boolean }) {
  const { id, title, done, shared } = todo;
  return (
    <li className={done ? "done" : ""} data-testid="todo">
      <label>
        <input type="checkbox" checked={done} disabled={!isMine} onChange={() => void db.update("Todo", id, { done: !done })} />
        <span>{title}</span>
      </label>
      {isMine ? (
        <>
          <button className="quiet" aria-pressed={shared} onClick={() => void db.update("Todo", id, { shared: !shared })}>
            {shared ? "Shared" : "Share"}
          </button>
          <button className="quiet" aria-label={`Delete ${title}`} onClick={() => void db.delete("Todo", id)}>
            ✕
          </button>
        </>
      ) : (
        <span className="pill">from someone</span>
      )}
    </li>
  );
}
