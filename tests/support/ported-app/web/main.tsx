import { callFn, db, init, uploadFile, useFn, type UploadedFile } from "@pylonsync/react";
import { useState, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { AuthScreen, signOut } from "./auth.tsx";

interface User {
  id: string;
  displayName: string;
}
interface Channel {
  id: string;
  name: string;
}
interface Message {
  id: string;
  channelId: string;
  authorId: string;
  body: string;
  createdAt: string;
}

init({ baseUrl: location.origin, appName: "board" });

function NewChannel({ onDone }: { onDone: (id: string) => void }): ReactElement {
  const [name, setName] = useState("");
  const create = db.useMutation<{ name: string }, { channelId: string }>("createChannel");
  const submit = async (): Promise<void> => {
    try {
      const { channelId } = await create.mutate({ name });
      setName("");
      onDone(channelId);
    } catch {
      // The error is in create.error.
    }
  };
  return (
    <p>
      <input aria-label="Channel" value={name} onChange={(event) => setName(event.target.value)} />
      <button disabled={create.loading} onClick={() => void submit()}>
        Create
      </button>
      {create.error && <span role="alert">{create.error.message}</span>}
    </p>
  );
}

function Messages({ channel, userId }: { channel: Channel; userId: string }): ReactElement {
  const [body, setBody] = useState("");
  const [file, setFile] = useState<UploadedFile | null>(null);
  const where = { channelId: channel.id };
  const { data: users } = db.useQuery<User>("User");
  const list = db.useInfiniteQuery<Message>("Message", {
    where,
    orderBy: { createdAt: "asc" },
    pageSize: 3,
  });
  const { data: sums } = db.useAggregate<{ count: number }>("Message", { count: true, where });
  const nameOf = (id: string): string => users.find((user) => user.id === id)?.displayName ?? "?";

  // The message is shown immediately with a temporary id, and is replaced by the server's.
  const send = async (): Promise<void> => {
    const change = { seq: 0, entity: "Message", row_id: `temp-${body}`, timestamp: "" };
    const createdAt = new Date().toISOString();
    const data = { channelId: channel.id, authorId: userId, body, createdAt };
    db.sync.store.applyChange({ ...change, kind: "insert", data });
    db.sync.store.notify();
    setBody("");
    try {
      await callFn<{ messageId: string }>("postMessage", { channelId: channel.id, body });
    } finally {
      db.sync.store.applyChange({ ...change, kind: "delete" });
      db.sync.store.notify();
    }
  };
  return (
    <section aria-label={channel.name}>
      <output>{sums?.[0]?.count ?? 0} messages</output>
      <ul>
        {list.data.map((message) => (
          <li key={message.id}>
            {nameOf(message.authorId)}: {message.body}
          </li>
        ))}
      </ul>
      <button disabled={!list.hasMore} onClick={() => void list.loadMore()}>
        More
      </button>
      <input aria-label="Message" value={body} onChange={(event) => setBody(event.target.value)} />
      <button onClick={() => void send()}>Send</button>
      <button onClick={() => void uploadFile(new File(["notes"], "notes.txt")).then(setFile)}>
        Attach
      </button>
      {file && <a href={file.url}>{file.size} bytes</a>}
    </section>
  );
}

function Board({ userId }: { userId: string }): ReactElement {
  const [channelId, setChannelId] = useState<string | null>(null);
  const { data: channels, loading } = db.useQuery<Channel>("Channel", { orderBy: { name: "asc" } });
  const { data: me } = db.useQueryOne<User>("User", userId);
  const { data: channel } = db.useQueryOne<Channel>("Channel", channelId ?? "");
  const remind = useFn<{ channelId: string; body: string }, { messageId: string }>("postMessage");
  if (loading) return <p>Loading</p>;
  return (
    <>
      <h1>{me?.displayName}</h1>
      <nav>
        {channels.map(({ id, name }) => (
          <button key={id} onClick={() => setChannelId(id)}>
            #{name}
          </button>
        ))}
      </nav>
      <NewChannel onDone={setChannelId} />
      {channel && <Messages channel={channel} userId={userId} />}
      {channel && (
        <button onClick={() => void remind.call({ channelId: channel.id, body: "a reminder" })}>
          Remind
        </button>
      )}
      <button onClick={() => void signOut()}>Log out</button>
    </>
  );
}

function App(): ReactElement {
  const { userId } = db.useSession();
  return userId === null ? <AuthScreen /> : <Board userId={userId} />;
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
