import style from "./dev-page.text.css" with { type: "text" };

/** The style of all pages of dev mode: the overview of an app without a page, and its mails. */
export const DEV_PAGE_STYLE: string = style;
