import { db } from "@pylonsync/react";
import { useState, type SubmitEvent } from "react";
import { api, type Message } from "../pylon.client.ts";

export function Conversation() {
  const { data: messages, isComplete } = db.useQuery("Message", { orderBy: { at: "asc" } });
  const isWriting = messages.some(({ state }) => state === "writing");
  return (
    <>
      <ol aria-label="Conversation">
        {messages.map((message) => (
          <Turn key={message.id} message={message} />
        ))}
      </ol>
      {isComplete && messages.length === 0 && (
        <div className="welcome">
          <h2>What would you like to know?</h2>
          <p>Open this page in a second window: the answer is written in both.</p>
        </div>
      )}
      <div className="composer">
        {isWriting && (
          <button type="button" className="stop" onClick={() => void db.fn(api.stop)}>
            Stop
          </button>
        )}
        <Question />
      </div>
    </>
  );
}

function Turn({
  message: { role, text, state },
}: {
  message: Pick<Message, "role" | "text" | "state">;
}) {
  return (
    <li className={role} data-state={state} aria-busy={state === "writing"}>
      {text}
      {state === "failed" && <em role="alert">The model could not go on.</em>}
    </li>
  );
}

function Question() {
  const [text, setText] = useState("");
  const { mutate, loading, error } = db.useMutation(api.ask);
  const ask = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      await mutate({ text });
      setText("");
    } catch {
      // The error is shown below.
    }
  };
  return (
    <>
      <form onSubmit={(event) => void ask(event)}>
        <input
          aria-label="Question"
          placeholder="Ask a question"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <button disabled={loading || text === ""}>Ask</button>
      </form>
      {error !== null && (
        <p role="alert">
          {error.code === "BUSY" ? "Wait for the answer, or stop it." : error.message}
        </p>
      )}
    </>
  );
}
