import style from "./dev-page.text.css" with { type: "text" };

/** What the pages of dev mode look like, all of them: `/studio` and `/studio/mail`. */
export const DEV_PAGE_STYLE: string = style;
