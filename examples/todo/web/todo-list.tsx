import { db } from "@pylonsync/react";
import { useState, type FormEvent } from "react";
import { TodoItem } from "./todo-item.tsx";

const FILTERS = { all: {}, open: { done: false }, done: { done: true } } as const;
type FilterName = keyof typeof FILTERS;

export function TodoList({ userId, isReady }: { userId: string; isReady: boolean }) {
  const [filter, setFilter] = useState<FilterName>("all");
  const { data: todos } = db.useQuery("Todo", {
    where: FILTERS[filter],
    orderBy: { createdAt: "desc" },
  });
  const { data: open } = db.useQuery("Todo", { where: { done: false } });
  const { data: done } = db.useQuery("Todo", { where: { done: true, ownerId: userId } });
  const clearDone = db.useMutation("clearDone");
  return (
    <>
      <NewTodo userId={userId} />
      <nav aria-label="Filter">
        {(Object.keys(FILTERS) as FilterName[]).map((name) => (
          <button
            key={name}
            className={name === filter ? "tab active" : "tab"}
            aria-pressed={name === filter}
            onClick={() => setFilter(name)}
          >
            {name}
          </button>
        ))}
        <span className="muted count">{open.length} left</span>
      </nav>
      <ul className="todos">
        {todos.map((todo) => (
          <TodoItem
            key={todo.id}
            todo={todo}
            isMine={todo.ownerId === userId}
            leavesWhenToggled={filter !== "all"}
          />
        ))}
      </ul>
      {todos.length === 0 && (
        <p className="empty muted">{isReady ? "Nothing here." : "Loading…"}</p>
      )}
      {done.length > 0 && (
        <footer>
          <button
            className="quiet"
            disabled={clearDone.loading}
            onClick={() => void clearDone.mutate({})}
          >
            Clear {done.length} done
          </button>
          {clearDone.error !== null && (
            <p className="error" role="alert">
              {clearDone.error.message}
            </p>
          )}
        </footer>
      )}
    </>
  );
}

function NewTodo({ userId }: { userId: string }) {
  const [title, setTitle] = useState("");
  const add = (event: FormEvent): void => {
    event.preventDefault();
    // The row is shown immediately, so all fields are set. The server rejects an empty title: try
    // it, and see the list roll back.
    void db.insert("Todo", {
      title: title.trim(),
      done: false,
      shared: false,
      createdAt: new Date().toISOString(),
      ownerId: userId,
    });
    setTitle("");
  };
  return (
    <form onSubmit={add}>
      <input
        aria-label="New todo"
        placeholder="What needs to be done?"
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        autoFocus
      />
      <button className="primary" type="submit">
        Add
      </button>
    </form>
  );
}
