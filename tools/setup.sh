#!/usr/bin/env bash
# Installs the missing Debian packages of the given groups (build, test, lint), as root or through sudo;
# otherwise prints the exact line to type. Says nothing when all are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wanted=()
for group in "$@"; do
  # shellcheck disable=SC2207
  wanted+=($(sed -n "s/^$group  *//p" "$here/packages.txt"))
done
there=$(dpkg-query -W -f '${Package} ${Status}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "$package install ok installed" <<<"$there" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" -eq 0 ]; then
  sudo=()
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
  sudo=(sudo)
else
  echo "sambay needs Debian packages that are not installed. Type as root:" >&2
  echo "  apt-get update && ${install[*]}" >&2
  exit 1
fi
echo "Installing Debian packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq >&2
"${sudo[@]}" "${install[@]}" >&2
