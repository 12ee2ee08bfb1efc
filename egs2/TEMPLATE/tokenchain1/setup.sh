#!/usr/bin/env bash
# A recipe for a new corpus: links to the template, and files of its own to fill in, which are those of start/.
# Usage: egs2/TEMPLATE/tokenchain1/setup.sh egs2/NAME/tokenchain1
set -euo pipefail

fail() {
    echo "setup.sh: error: $*" >&2
    exit 1
}

[[ $# -eq 1 && $1 != -* ]] || fail "name the new folder, such as egs2/mine/tokenchain1"
template=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
recipe=$(realpath -m "$(dirname "$1")")/$(basename "$1")
[[ ! -e $recipe && ! -L $recipe ]] || fail "$1 is there already, and nothing is written over it; name another folder"

# Made beside its place and moved there when whole.
mkdir -p "$(dirname "$recipe")"
partial=$(mktemp -d "$(dirname "$recipe")/.setup.XXXXXX")
trap 'rm -rf "$partial"' EXIT
cp -rL "$template/start/." "$partial"    # -L: its tokenizer.yaml is that of conf/small
to_template=$(realpath --relative-to "$recipe" "$template")
for name in tokenchain.sh path.sh cmd.sh db.sh; do
    ln -s "$to_template/$name" "$partial/$name"
done
chmod 755 "$partial" "$partial/run.sh" "$partial/local/data.sh"
mv -T "$partial" "$recipe"
trap - EXIT

echo "$1 is there. Next: write $1/local/data.sh, name the sets in $1/run.sh, and look at $1/conf."
echo "egs2/README.md says how; 'python3 -m tokenchain_toolkit.bin.check_recipe $1' says what is still missing."
