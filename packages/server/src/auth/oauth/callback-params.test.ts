import { expect, test } from "bun:test";
import { readCallback } from "./callback-params.ts";

const FORM = "application/x-www-form-urlencoded";

function read(
  query: string,
  body?: string,
  type = "application/json",
): ReturnType<typeof readCallback> {
  const url = new URL(`https://app.example.com/api/auth/callback/acme${query}`);
  const init = body === undefined ? {} : { method: "POST", headers: { "content-type": type } };
  return readCallback({
    request: new Request(url, init),
    query: (name) => url.searchParams.get(name),
    text: () => Promise.resolve(body ?? ""),
  });
}

const PARAMS = { code: "c", state: "s", error: null, issuer: "i", form: null };

test("a browser sends a query or a form, and an app sends JSON", async () => {
  const fields = "code=c&state=s&iss=i";
  expect(await read(`?${fields}`)).toEqual({ params: PARAMS, isBrowser: true });
  expect(await read("", fields, FORM)).toEqual({ params: PARAMS, isBrowser: true });
  const json = JSON.stringify({ code: "c", state: "s", iss: "i" });
  expect(await read("?code=ignored", json)).toEqual({ params: PARAMS, isBrowser: false });
});

test("Apple's user is JSON in a form; if it is broken, only the name is lost", async () => {
  const withUser = (user: string): Promise<unknown> =>
    read("", new URLSearchParams({ state: "s", user }).toString(), FORM).then(
      ({ params }) => params.form,
    );
  expect(await withUser('{"name":{"firstName":"Ann"}}')).toEqual({ name: { firstName: "Ann" } });
  expect(await withUser("{broken")).toBeNull();
});

test("an empty value is absent, and one that is not text, or too long, is rejected", async () => {
  expect((await read("?code=&state=")).params).toMatchObject({ code: null, state: null });
  expect((await read("", '{"toString":"x"}')).params.code).toBeNull();
  for (const body of ["[]", "null", '"x"', '{"code":1}', '{"state":{}}'])
    await expect(read("", body)).rejects.toMatchObject({ code: "INVALID_DATA" });
  await expect(read("", "{broken")).rejects.toMatchObject({ code: "INVALID_JSON" });
  await expect(read(`?state=${"x".repeat(8193)}`)).rejects.toMatchObject({ field: "state" });
});
