# shellcheck shell=bash
# shellcheck disable=SC2154
# How recognised texts are scored and compared. Sourced by tokenchain.sh.

# score_text EXPERIMENT MODEL FOLDER SET REFERENCE ARGUMENTS...: FOLDER/text against the transcripts REFERENCE
score_text() {
    local experiment=$1 model=$2 folder=$3 set=$4 reference=$5
    shift 5
    call score --experiment "$experiment" --model "$model" --set "$set" --hyp "$folder/text" --ref "$reference" \
        --out "$folder/score.json" "$@"
}

# against SUBFOLDER [MODEL]: $compared, what compares chain $chain with the baseline and, if it was adapted, with MODEL,
# which it started from
against() {
    compared=()
    [[ $chain == baseline || " $chains " != *" baseline "* ]] || compared+=("$exp/chain_baseline/$1/text")
    [[ -z $source || $# -lt 2 ]] || compared+=("$exp/$2/$1/text")
    [[ ${#compared[@]} -eq 0 ]] || compared=(--baseline "${compared[@]}")
}

# score_drawn EXPERIMENT MODEL TRAINED ARGUMENTS...: what T2S in the model folder TRAINED drew of set $set
score_drawn() {
    local experiment=$1 model=$2 trained=$3 folder=$exp/$1
    shift 3
    score_text "$experiment" "$model" "$folder/t2s_decode_$set" "$set" "$data/$set/text" --trained "$trained" \
        --metric_name t2s_wer "$@"
    call audit_t2s --hyp "$folder/t2s_decode_$set/text" --ref "$data/$set/text" --dump "$folder/t2s_$set" \
        --natural "$(units_of "$dump/$set")" --out "$folder/t2s_decode_$set/audit.json"
}
