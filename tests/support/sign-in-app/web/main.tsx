// A page for each of the forms of @pylonsync/react, for a browser to fill in.
import {
  Account,
  db,
  EngineProvider,
  FileInput,
  OrganizationSwitcher,
  ResetPassword,
  SignIn,
  SignUp,
  UserButton,
  useSession,
} from "@pylonsync/react";
import "@pylonsync/react/styles.css";
import { useState, type ReactElement } from "react";
import { createRoot } from "react-dom/client";

function Home(): ReactElement {
  const { isLoaded, userId } = useSession();
  const { connection } = db.useStatus();
  const { data: users } = db.useQuery("User");
  return (
    <>
      <p data-connection={connection}>{users.map((user) => String(user["displayName"])).join()}</p>
      <output>{isLoaded ? (userId ?? "nobody") : "not known yet"}</output>
      <header style={{ display: "flex", justifyContent: "space-between" }}>
        <OrganizationSwitcher />
        <UserButton accountUrl="/account" redirectTo="/signed-out" />
      </header>
    </>
  );
}

function Upload(): ReactElement {
  const [stored, setStored] = useState("");
  return (
    <main>
      <FileInput
        label="Photo"
        name="photo"
        entity="User"
        field="photo"
        onChange={(file) => setStored(file?.url ?? "")}
      />
      <output>{stored}</output>
    </main>
  );
}

function pageOf(path: string): ReactElement {
  switch (path) {
    case "/sign-in":
      return (
        <SignIn
          redirectTo="/home"
          title="Sign in to Forms"
          subtitle="Welcome back"
          signUpUrl="/sign-up"
          resetUrl="/reset"
          methods={["password", "code", "link", "passkey", "provider"]}
        />
      );
    case "/sign-up":
      return <SignUp title="Create an account" redirectTo="/home" signInUrl="/sign-in" />;
    case "/reset":
      return <ResetPassword signInUrl="/sign-in" />;
    case "/upload":
      return <Upload />;
    case "/account":
      return <Account redirectTo="/signed-out" />;
    default:
      return <Home />;
  }
}

/** The address of the socket, if it is on another host. */
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
