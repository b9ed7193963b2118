// The script of /studio/mail in dev mode: shows new mails, and leaves open mails open.
// @ts-check
"use strict";

const POLL_MS = 1_000;
const main = /** @type {HTMLElement} */ (document.querySelector("main"));
const keysIn = (/** @type {ParentNode} */ root) =>
  [...root.querySelectorAll("[data-mail]")].map((mail) => mail.getAttribute("data-mail"));

async function look() {
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) return;
  const next = new DOMParser()
    .parseFromString(await answer.text(), "text/html")
    .querySelector("main");
  if (next === null || keysIn(next).join() === keysIn(main).join()) return;
  const shown = new Map(
    [...main.querySelectorAll("[data-mail]")].map((mail) => [mail.getAttribute("data-mail"), mail]),
  );
  // The remaining ones are not moved: a frame that is moved is reloaded.
  for (const [key, mail] of shown) if (!keysIn(next).includes(key)) mail.remove();
  const fresh = [...next.querySelectorAll("[data-mail]")].filter(
    (mail) => !shown.has(mail.getAttribute("data-mail")),
  );
  main.querySelector(".empty")?.remove();
  main.querySelector("h1")?.replaceWith(/** @type {Element} */ (next.querySelector("h1")));
  main.querySelector("h1")?.after(...fresh);
}

function again() {
  window.setTimeout(
    () =>
      look()
        .catch(() => undefined)
        .finally(again),
    POLL_MS,
  );
}

again();
