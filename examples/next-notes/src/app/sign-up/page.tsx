import { SignUp } from "@pylonsync/next";

export default function Page() {
  return (
    <main>
      <h1>Create an account</h1>
      <SignUp redirectTo="/notes" signInUrl="/sign-in" />
    </main>
  );
}
