// A page for each of the forms of @pylonsync/react, for a browser to fill in.
import {
  Account,
  db,
  EngineProvider,
  ResetPassword,
  SignIn,
  SignUp,
  UserButton,
  useSession,
} from "@pylonsync/react";
import "@pylonsync/react/styles.css";
import type { ReactElement } from "react";
import { createRoot } from "react-dom/client";

function Home(): ReactElement {
  const { isLoaded, userId } = useSession();
  const { connection } = db.useStatus();
  const { data: users } = db.useQuery("User");
  return (
    <>
      <p data-connection={connection}>{users.map((user) => String(user["displayName"])).join()}</p>
      <output>{isLoaded ? (userId ?? "nobody") : "not known yet"}</output>
      <UserButton accountUrl="/account" redirectTo="/signed-out" />
    </>
  );
}

function pageOf(path: string): ReactElement {
  switch (path) {
    case "/sign-in":
      return (
        <SignIn
          redirectTo="/home"
          signUpUrl="/sign-up"
          resetUrl="/reset"
          methods={["password", "code", "link", "passkey", "provider"]}
        />
      );
    case "/sign-up":
      return <SignUp redirectTo="/home" signInUrl="/sign-in" />;
    case "/reset":
      return <ResetPassword signInUrl="/sign-in" />;
    case "/account":
      return <Account redirectTo="/signed-out" />;
    default:
      return <Home />;
  }
}

/** Where the socket is, when it is on another host. */
const socket = new URLSearchParams(location.search).get("socket");
const root = document.querySelector("#root");
if (root === null) throw new Error("There is no #root.");
createRoot(root).render(
  <EngineProvider
    baseUrl={location.origin}
    credentials="cookie"
    {...(socket === null ? {} : { wsUrl: socket })}
  >
    {pageOf(location.pathname)}
  </EngineProvider>,
);
