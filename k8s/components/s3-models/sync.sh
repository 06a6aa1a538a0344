#!/bin/sh
# Follows a store of models into a folder: a version appears by one rename, once it is whole, and goes when the store has it no more.
#
#   STORE=remote:path FOLDER=/models [PERIOD_S=10] sync.sh [once]
#
# A version in the store is whole when its manifest.json is there: publishers write that last (docs/publishing.md).
set -eu
trap 'exit 0' TERM INT

follow() {
  versions=$(rclone lsf --recursive --files-only --include '/*/*/manifest.json' "$STORE") || return 1
  versions=$(printf '%s\n' "$versions" | sed -n 's|^\([^/.][^/]*/[0-9][0-9]*\)/manifest\.json$|\1|p')
  [ -n "$versions" ] || { echo "no version in $STORE" >&2; return 1; }  # an outage may look like this: keep what is there

  for version in $versions; do
    [ -d "$FOLDER/$version" ] || fetch "$version" || return 1
  done
  for folder in "$FOLDER"/*/[0-9]*; do
    version=${folder#"$FOLDER"/}
    [ ! -d "$folder" ] || printf '%s\n' "$versions" | grep -qxF "$version" || remove "$version"
  done
  for model in $(printf '%s\n' "$versions" | sed 's|/.*||' | sort -u); do  # the labels, where there are some
    rclone copy --include '/labels.json' "$STORE/$model" "$FOLDER/$model" || return 1
  done
}

fetch() {
  incoming="$FOLDER/${1%/*}/.incoming-${1#*/}"
  mkdir -p "$incoming"
  rclone sync "$STORE/$1" "$incoming" || return 1
  [ -f "$incoming/manifest.json" ] || return 1  # removed from the store meanwhile
  mv "$incoming" "$FOLDER/$1"
  echo "fetched $1"
}

remove() {
  removed="$FOLDER/${1%/*}/.removed-${1#*/}"
  mv "$FOLDER/$1" "$removed"
  rm -rf "$removed"
  echo "removed $1"
}

until follow; do
  [ "${1:-}" != once ] || exit 1
  sleep "${PERIOD_S:-10}" & wait $!
done
touch "$FOLDER/.followed"  # the startup probe looks for it
[ "${1:-}" != once ] || exit 0

while :; do
  sleep "${PERIOD_S:-10}" & wait $!
  follow || echo "the store does not answer; what is there stays" >&2
done
