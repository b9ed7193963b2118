/** What the pages of dev mode look like, all of them: `/studio` and `/studio/mail`. */
export const DEV_PAGE_STYLE = `:root{color-scheme:light dark;--line:color-mix(in srgb,CanvasText 15%,transparent);--soft:color-mix(in srgb,CanvasText 70%,transparent);--accent:#1f5fd0}@media(prefers-color-scheme:dark){:root{--accent:#79a8ff}}
body{margin:0;font:16px/1.55 system-ui,sans-serif;background:Canvas;color:CanvasText;overflow-wrap:anywhere}main{max-width:44rem;margin:0 auto;padding:2rem 1rem 3rem}
h1{font-size:1.6rem;margin:0 0 .5rem}h1 small{font-size:1rem;font-weight:400;color:var(--soft)}p{margin:.4rem 0}.none{color:var(--soft)}code{font:.92em ui-monospace,monospace}a{color:var(--accent)}
`;
