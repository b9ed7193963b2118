import { db } from "@pylonsync/react";
import { SignIn } from "./sign-in.tsx";
import { Toasts } from "./toasts.tsx";
import { useEnter } from "./use-enter.ts";
import { Workspace } from "./workspace.tsx";

export function App() {
  const { isLoaded, userId } = db.useSession();
  const { data, isComplete } = db.useQuery("Person", { where: { userId: userId ?? "" }, limit: 1 });
  const entering = useEnter();
  const [person] = data;
  const isUnknown = !isLoaded || (userId !== null && !isComplete);
  return (
    <>
      {person !== undefined ? (
        <Workspace person={person} />
      ) : isUnknown && !entering.isBusy ? (
        <p className="notice">Loading…</p>
      ) : (
        <SignIn {...entering} />
      )}
      <Toasts />
    </>
  );
}
