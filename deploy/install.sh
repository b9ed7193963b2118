#!/bin/sh
# Installs the pylon command for this user, without root:
#
#   curl -fsSL https://downloads.example.com/pylon/v0.1.0/install.sh | sh
#
# PYLON_RELEASES_URL  the URL of the releases, each in a folder v<version>; https, or http on this machine
# PYLON_VERSION       the version, such as 0.1.0
# PYLON_INSTALL_DIR   the target folder; default ~/.local/bin. Services do not search it: for them, as root, use /usr/local/bin
set -eu

# The script of a release contains its URL: `npm run build:release -- --url URL` writes it here.
releases=${PYLON_RELEASES_URL:-}
version=${PYLON_VERSION:-}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# The name of the executable for this machine.
platform() {
  os=$(uname -s)
  cpu=$(uname -m)
  case $os in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "There is no executable for $os: pylon runs on Linux and macOS." ;;
  esac
  case $cpu in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) fail "There is no executable for the processor $cpu: pylon runs on x86_64 and arm64." ;;
  esac
  if [ "$os" = linux ] && ldd --version 2>&1 | grep -qi musl; then
    fail "The executable needs glibc, and this system has musl (as Alpine does): use Debian, Ubuntu, Fedora or a similar system."
  fi
  echo "$os-$cpu"
}

# The URL of the files of the wanted version.
release_url() {
  [ -n "$releases" ] || fail "Set PYLON_RELEASES_URL to the URL of the releases, such as https://downloads.example.com/pylon."
  [ -n "$version" ] || fail "Set PYLON_VERSION to the version, such as 0.1.0."
  url=${releases%/}/v$version
  case $version in
    *[!0-9A-Za-z.-]*) fail "PYLON_VERSION is \"$version\", but must be a version such as 0.1.0." ;;
  esac
  case $url in
    https://*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | "http://[::1]"[:/]*) ;;
    *) fail "PYLON_RELEASES_URL must begin with https://, because the executable could be modified in transit over http." ;;
  esac
  case $url in
    *@*) fail "PYLON_RELEASES_URL must not contain a user or password." ;;
  esac
  echo "$url"
}

# download URL FILE
download() {
  if command -v curl >/dev/null 2>&1; then
    # A redirect must not leave https either.
    case $1 in
      https://*) set -- "$@" --proto-redir =https ;;
      *) set -- "$@" --noproxy '*' ;;
    esac
    from=$1
    to=$2
    shift 2
    curl -fsSL "$@" -o "$to" "$from" || fail "$from could not be downloaded: does this version exist for this platform?"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1" || fail "$1 could not be downloaded: does this version exist for this platform?"
  else
    fail "Neither curl nor wget is installed: install one of them."
  fi
}

# The SHA-256 of a file.
sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    fail "Neither sha256sum nor shasum is installed, so the download can't be verified: install one of them."
  fi
}

main() {
  umask 022
  name=pylon-$(platform)
  url=$(release_url)
  dir=${PYLON_INSTALL_DIR:-${HOME:?is not set: set PYLON_INSTALL_DIR}/.local/bin}
  unfinished=
  trap 'rm -rf "${work:-}" "${unfinished:-}"' EXIT
  trap 'exit 1' HUP INT TERM
  work=$(mktemp -d)

  echo "Downloading $url/$name"
  download "$url/SHA256SUMS" "$work/SHA256SUMS"
  wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
  [ -n "$wanted" ] || fail "$url/SHA256SUMS does not contain $name: this version has no such executable."
  download "$url/$name" "$work/pylon"
  [ "$(sha256 "$work/pylon")" = "$wanted" ] || fail "The checksum of $url/$name does not match SHA256SUMS: nothing was installed. Try again; if the error persists, report it."

  mkdir -p "$dir" || fail "$dir can't be created: set PYLON_INSTALL_DIR to a folder in which you can write."
  # First written next to its target, because a move is only atomic within one disk.
  unfinished=$(mktemp "$dir/.pylon.XXXXXX") || fail "$dir is not writable: set PYLON_INSTALL_DIR to a folder in which you can write."
  cp "$work/pylon" "$unfinished" || fail "The executable could not be written to $dir: is its disk full?"
  chmod 755 "$unfinished"
  mv -f "$unfinished" "$dir/pylon" || fail "$dir/pylon can't be replaced."
  echo "Installed $dir/pylon"
  case :${PATH:-}: in
    *:"$dir":*) ;;
    *) echo "Add it to your PATH, in ~/.profile for example:  export PATH=\"$dir:\$PATH\"" ;;
  esac
}

# The last line, so that a truncated script does nothing.
main
