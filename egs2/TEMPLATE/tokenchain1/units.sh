# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced by tokenchain.sh.
# ASR and T2S work on units instead of frames where the corpus has a conf/units.yaml, or its source has units. Of a dump
# X, the units lie in X_units; of the units Y that T2S draws, the frames lie in Y_frames. S2A always works on frames.
has_units=false
if [[ -n $source ]]; then
    [[ ! -d $source/$exp/units_$tag ]] || has_units=true
elif [[ -f $conf/units.yaml ]]; then
    has_units=true
fi
units_of() {
    if [[ $has_units == true ]]; then echo "$1_units"; else echo "$1"; fi
}
frames_of() {
    if [[ $has_units == true ]]; then echo "$1_frames"; else echo "$1"; fi
}

# convert DUMP OUT ARGUMENTS...: a dump of units from one of frames, or with --expand the other way; nothing without units
convert() {
    local from=$1 to=$2
    shift 2
    [[ $has_units == false ]] || call convert_units --units "$exp/units_$tag" --dump "$from" --out "$to" "$@" "${redo[@]}"
}
