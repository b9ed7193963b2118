import { at, idAt, isTrueAt, listAt, textAt } from "./json-path.ts";
import type { OAuthProfile, ProfileSources, ReadProfile } from "./profile.ts";

interface Paths {
  readonly id: string;
  readonly email?: string;
  /**
   * The path of the flag that says whether the provider has verified the address. Absent: the
   * provider does not say, so the address counts as unverified.
   */
  readonly verified?: string;
  readonly name?: string;
  readonly avatar?: string;
}

/** Reads a profile each part of which is at one path of one response. */
function reader(source: keyof ProfileSources, paths: Paths): ReadProfile {
  return (sources) => {
    const json = sources[source];
    const text = (path: string | undefined): string | undefined =>
      path === undefined ? undefined : textAt(json, path);
    return profile(idAt(json, paths.id), {
      email: text(paths.email),
      emailVerified: paths.verified !== undefined && isTrueAt(json, paths.verified),
      name: text(paths.name),
      avatar: text(paths.avatar),
    });
  };
}

function profile(
  id: string | undefined,
  { email, emailVerified, ...rest }: Omit<OAuthProfile, "id">,
): OAuthProfile | null {
  return id === undefined
    ? null
    : { id, email, emailVerified: emailVerified && email !== undefined, ...rest };
}

const CLAIMS: Paths = {
  id: "sub",
  email: "email",
  verified: "email_verified",
  name: "name",
  avatar: "picture",
};

/** The standard claims of a validated id_token. */
export const readClaims = reader("claims", CLAIMS);
/** The standard claims, when they come from a profile endpoint. */
export const readUserClaims = reader("user", CLAIMS);

/** Apple sends the name only the first time, in addition to the code. */
export const readApple: ReadProfile = (sources) => {
  const name = [textAt(sources.form, "name.firstName"), textAt(sources.form, "name.lastName")]
    .filter((part) => part !== undefined)
    .join(" ");
  const claims = readClaims(sources);
  return claims === null ? null : { ...claims, name: name === "" ? claims.name : name };
};

/**
 * Anybody can give an account in their own directory any address: only `xms_edov` says that the
 * ownership of the address's domain was verified.
 */
export const readMicrosoft = reader("claims", { ...CLAIMS, verified: "xms_edov" });

/**
 * The address in the profile is the one that the user chose to show. The list says which one is
 * primary and whether it is verified.
 */
export const readGithub: ReadProfile = ({ user, emails }) => {
  const primary = listAt(emails, "").find((entry) => isTrueAt(entry, "primary"));
  return profile(idAt(user, "id"), {
    email: textAt(primary, "email"),
    emailVerified: isTrueAt(primary, "verified"),
    name: textAt(user, "name") ?? textAt(user, "login"),
    avatar: textAt(user, "avatar_url"),
  });
};

/** The avatar is a hash, from which the URL is built. */
export const readDiscord: ReadProfile = ({ user }) => {
  const id = idAt(user, "id");
  const avatar = textAt(user, "avatar");
  return profile(id, {
    email: textAt(user, "email"),
    emailVerified: isTrueAt(user, "verified"),
    name: textAt(user, "global_name") ?? textAt(user, "username"),
    avatar:
      avatar === undefined ? undefined : `https://cdn.discordapp.com/avatars/${id}/${avatar}.png`,
  });
};

/** Spotify's documentation says that there is no proof that the address belongs to the user. */
export const readSpotify = reader("user", {
  id: "id",
  email: "email",
  name: "display_name",
  avatar: "images.0.url",
});

/** Twitch returns an address only once it is verified. */
export const readTwitch: ReadProfile = ({ user }) => {
  const email = textAt(user, "data.0.email");
  const name = textAt(user, "data.0.display_name");
  return profile(idAt(user, "data.0.id"), {
    email,
    emailVerified: email !== undefined,
    name,
    avatar: textAt(user, "data.0.profile_image_url"),
  });
};

/** `confirmed_email` is present only once it is confirmed. */
export const readTwitter: ReadProfile = ({ user }) => {
  const email = textAt(user, "data.confirmed_email");
  const name = textAt(user, "data.name") ?? textAt(user, "data.username");
  return profile(idAt(user, "data.id"), {
    email,
    emailVerified: email !== undefined,
    name,
    avatar: textAt(user, "data.profile_image_url"),
  });
};

/** Facebook's profile, with the requested fields. */
export const readFacebook = reader("user", {
  id: "id",
  email: "email",
  name: "name",
  avatar: "picture.data.url",
});
/** Reddit returns no address. */
export const readReddit = reader("user", { id: "id", name: "name", avatar: "snoovatar_img" });
/** Notion returns the person behind the integration, with the person's address. */
export const readNotion: ReadProfile = ({ user }) => {
  // The request is sent as the integration's bot, whose owner is the person.
  const owner = at(user, "bot.owner.user");
  return profile(idAt(owner, "id"), {
    email: textAt(owner, "person.email"),
    emailVerified: false,
    name: textAt(owner, "name"),
    avatar: textAt(owner, "avatar_url"),
  });
};
/** Linear responds to a GraphQL query for the viewer. */
export const readLinear = reader("user", {
  id: "data.viewer.id",
  email: "data.viewer.email",
  name: "data.viewer.name",
  avatar: "data.viewer.avatarUrl",
});
/** Zoom marks an address as verified with a 1. */
export const readZoom = reader("user", {
  id: "id",
  email: "email",
  verified: "verified",
  name: "display_name",
  avatar: "pic_url",
});
/** `sub` is a URL that contains the organisation's address, which may change. */
export const readSalesforce = reader("user", { ...CLAIMS, id: "user_id" });
/** Atlassian's account id is the same in all of its products. */
export const readAtlassian = reader("user", {
  id: "account_id",
  email: "email",
  verified: "email_verified",
  name: "name",
  avatar: "picture",
});
/** Figma returns an address, but not whether it was verified. */
export const readFigma = reader("user", {
  id: "id",
  email: "email",
  name: "handle",
  avatar: "img_url",
});
/** Dropbox's account; its name is one of several forms. */
export const readDropbox = reader("user", {
  id: "account_id",
  email: "email",
  verified: "email_verified",
  name: "name.display_name",
  avatar: "profile_photo_url",
});
/** TikTok returns no address. */
export const readTiktok = reader("user", {
  id: "data.user.open_id",
  name: "data.user.display_name",
  avatar: "data.user.avatar_url",
});
/** PayPal has its own id in addition to the standard claims. */
export const readPaypal = reader("user", { ...CLAIMS, id: "user_id" });
/** Kick returns a list, the first entry of which is the user. */
export const readKick = reader("user", {
  id: "data.0.user_id",
  email: "data.0.email",
  name: "data.0.name",
  avatar: "data.0.profile_picture",
});
