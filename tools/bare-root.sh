#!/usr/bin/env bash
# Proves ./run and ./test on a bare Debian 12: makes a root with debootstrap (nothing else installed), copies
# the tracked files in, and runs both commands in it twice. Needs root, debootstrap and a Debian mirror.
#   tools/bare-root.sh [FOLDER]      keeps FOLDER and uses it again; else a temporary one, removed at the end
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" -eq 0 ] || { echo "run as root: debootstrap and chroot need it" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 1; }
mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' 'Created-By: Packages' | head -n 1)
keep=${1:-}
[ -z "$keep" ] || mkdir -p "$keep"
root=$(cd "${keep:-$(mktemp -d)}" && pwd -P)

mounted() { awk -v root="$root/" 'index($2 "/", root) == 1 { print $2 }' /proc/self/mounts | sort -r; }
clean_up() {
  mounted | while read -r folder; do umount "$folder" || true; done
  [ -z "$keep" ] || return 0
  [ -z "$(mounted)" ] || { echo "$root still has mounts: left as it is" >&2; return 1; }
  rm -rf --one-file-system "$root"
}
trap clean_up EXIT

if [ ! -e "$root/etc/debian_version" ] || [ -e "$root/debootstrap" ]; then
  debootstrap --variant=minbase bookworm "$root" "${mirror:?no mirror in /etc/apt: set DEBIAN_MIRROR}" >"$root.log" ||
    { tail -n 20 "$root.log" >&2; exit 1; }
  rm -f "$root.log"
fi
# The way to the mirror is this machine's.
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -d /etc/apt/apt.conf.d ] || cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
mount -t proc proc "$root/proc"
# Of the machine's devices, what building needs; debootstrap made null, zero and random.
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
rm -rf --one-file-system "$root/sambay"
mkdir "$root/sambay"
git -C "$here" ls-files -z | tar -C "$here" --null -T - -cf - | tar -C "$root/sambay" -xf -

for round in first second; do
  for command in './run --prompt "What is 347 times 268?"' './test'; do
    start=$(date +%s)
    chroot "$root" /bin/sh -c "cd /sambay && $command" </dev/null
    echo "== $round time, $command: $(($(date +%s) - start)) s"
  done
done
