#!/usr/bin/env bash
# Proves ./run and ./test on a bare Debian 12: makes a root with debootstrap (nothing else installed), copies
# this checkout in, and runs both commands in it twice. Needs root, debootstrap and a Debian mirror.
#   tools/bare-root.sh [FOLDER]      keeps FOLDER if given, else a temporary one that is removed
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" -eq 0 ] || { echo "run as root: debootstrap and chroot need it" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
mirror=${DEBIAN_MIRROR:-$(sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\] *\)\?\(http[^ ]*\).*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)}
root=${1:-$(mktemp -d)}
clean_up() {
  umount -l "$root/proc" "$root/dev" 2>/dev/null || true
  [ $# -eq 0 ] || return 0
  rm -rf --one-file-system "$root"
}
[ $# -gt 0 ] && trap 'clean_up keep' EXIT || trap clean_up EXIT

if [ ! -x "$root/bin/sh" ]; then
  debootstrap --variant=minbase bookworm "$root" "${mirror:-http://deb.debian.org/debian}"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -d /etc/apt/apt.conf.d ] || cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
rm -rf "$root/sambay"
mkdir "$root/sambay"
git -C "$here" ls-files -z | (cd "$here" && xargs -0 tar cf -) | tar xf - -C "$root/sambay"

for round in first second; do
  for command in './run --prompt "What is 12 times 345?"' './test'; do
    start=$(date +%s)
    chroot "$root" /bin/sh -c "cd /sambay && $command" </dev/null
    echo "== $round time, $command: $(($(date +%s) - start)) s"
  done
done
