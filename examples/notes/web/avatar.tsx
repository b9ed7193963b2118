/** A name's initials, on a colour that depends on the name. */
export function Avatar({ name }: { readonly name: string }) {
  const initials = name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => /^./u.exec(word)?.[0] ?? "")
    .join("");
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return (
    <span className="avatar" aria-hidden style={{ backgroundColor: `hsl(${hue} 42% 32%)` }}>
      {initials.toUpperCase()}
    </span>
  );
}
