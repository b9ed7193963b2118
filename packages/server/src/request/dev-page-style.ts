import style from "./dev-page.text.css" with { type: "text" };

/** The style of all pages of dev mode: `/studio` and `/studio/mail`. */
export const DEV_PAGE_STYLE: string = style;
