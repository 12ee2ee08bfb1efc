#!/usr/bin/env bash
# The TokenChain recipe, stage by stage. A corpus's run.sh calls it from the corpus's folder; every stage is one Python
# command (`python3 -m tokenchain_toolkit.bin.<stage> --help`) that skips what is up to date and goes on after a kill.
set -euo pipefail

stages=(data validate learn_tokenizer extract_tokens make_units train_bpe train_asr train_t2s train_chain train_s2a
    decode_asr decode_t2s synthesize score report)

stage=1                      # first stage, by number or name
stop_stage=${#stages[@]}     # last stage, by number or name
train_set=train              # sets: names of folders in $data
valid_set=valid
test_sets="test"
synth_sets=                  # test sets to synthesize too; the first of test_sets if empty
tag=mfcc                     # tokenizer: $exp/tokenizer_<tag>, $dump/<tag>; of conf/tokenizer_<tag>.yaml if it exists
conf=conf                    # folder of the configurations
data=data                    # folder of the sets, which local/data.sh writes
dump=dump                    # folder of the tokens
exp=exp                      # folder of the experiments
chains="baseline st_argmax"  # chain experiments, each conf/chain_<name>.yaml; "baseline" is compared with
num_jobs=2                   # processes of the sharded stages; with --device cuda they share out the machine's GPUs
num_gpus=                    # GPUs of every training; empty: as many as its configuration says, which is one
side_by_side=1               # commands at once where they do not need each other, each with its share of cores and jobs
device=cpu                   # torch device of extraction and decoding; training takes a GPU where there is one
synth_utts=24                # utterances to synthesize of each test set
data_args=                   # more options for local/data.sh, such as "--keep_archives"
validate_args=               # more options for validate, such as "--max_seconds 90"
results=.                    # folder of RESULTS.md, results.json and report.html
title=$(basename "$(dirname "$PWD")")    # of the report
options=(stage stop_stage train_set valid_set test_sets synth_sets tag conf data dump exp chains num_jobs num_gpus
    side_by_side device synth_utts data_args validate_args results title)    # and --dry_run, --overwrite, --list_stages, --tiny, --help

# Chains that go on from the models of another recipe, on its tokens and text units; egs2/tedlium2 adapts so.
source=                      # that recipe's folder, whose tag, data, dump and exp have the same names; empty: none
source_sets=                 # sets of it that are used here, too, under the same names
replay_sets=                 # those of them that the chains are trained on beside train_set
options+=(source source_sets replay_sets)

template=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# A pass through all stages in minutes, on any corpus of which there is little here, in folders of its own.
tiny=(--conf "$template/conf/tiny" --tag tiny --data data_tiny --dump dump_tiny --exp exp_tiny --results exp_tiny
    --device cpu --synth_utts 2 --title "$title with tiny settings, which show that the recipe runs; the figures mean nothing")

. "$template/stages.sh"
. "$template/source.sh"
. "$template/scoring.sh"
parse "$@"

[[ -f path.sh && -f local/data.sh ]] || fail "call this from a corpus's folder, which has path.sh and local/data.sh"
. ./path.sh
. ./cmd.sh

[[ -d $conf ]] || fail "--conf $conf is no folder"
read -r -a chain_names <<<"$chains"
for chain in "${chain_names[@]}"; do
    [[ -f $conf/chain_$chain.yaml ]] || fail "--chains names $chain, and $conf/chain_$chain.yaml is missing"
done
read -r -a test_names <<<"$test_sets"
[[ ${#test_names[@]} -gt 0 ]] || fail "--test_sets names no set"
read -r -a synth_names <<<"${synth_sets:-${test_names[0]}}"
for set in "${synth_names[@]}"; do
    [[ " ${test_names[*]} " == *" $set "* ]] ||
        fail "--synth_sets names $set, which is not among --test_sets $test_sets"
done
all_sets=("$train_set" "$valid_set" "${test_names[@]}")
dump=$dump/$tag
token_list=$data/token_list/$tag
tokenizer=$exp/tokenizer_$tag
tokenizer_name=tokenizer$([[ ! -f $conf/tokenizer_$tag.yaml ]] || echo "_$tag")
[[ -n $source || -z $source_sets$replay_sets ]] || fail "--source_sets and --replay_sets need --source"
read -r -a source_names <<<"$source_sets"
read -r -a replay_names <<<"$replay_sets"
for set in "${replay_names[@]}"; do
    [[ " ${source_names[*]} " == *" $set "* ]] ||
        fail "--replay_sets names $set, which is not among --source_sets $source_sets"
done
jobs=(--num_jobs "$num_jobs" --device "$device")
few_jobs=(--num_jobs "$(share "$num_jobs")" --device "$device")    # of commands that run side by side
. "$template/units.sh"

own_sets=()    # those of all_sets that are made here
for set in "${all_sets[@]}"; do
    [[ " $source_sets " == *" $set "* ]] || own_sets+=("$set")
done

check_the_source    # and set $speaks, whether there is an S2A for synthesis

how_to_train=("${redo[@]}" ${num_gpus:+"training.devices=$num_gpus"})
training_data=(--train_data "$data/$train_set" --valid_data "$data/$valid_set")
training_sets=("${training_data[@]}" --train_dump "$(units_of "$dump/$train_set")"
    --valid_dump "$(units_of "$dump/$valid_set")")

# What chains are trained on: the same; or sets of the other recipe, too, and then all are evaluated after every epoch.
chain_sets=("${training_sets[@]}")
if [[ -n $source ]]; then
    chain_train=("$train_set" "${replay_names[@]}")
    train_dumps=("${chain_train[@]/#/$dump/}")
    test_dumps=("${test_names[@]/#/$dump/}")
    suffix=$(units_of "")
    chain_sets=(--train_data "${chain_train[@]/#/$data/}" --train_dump "${train_dumps[@]/%/$suffix}"
        --valid_data "$data/$valid_set" --valid_dump "$dump/$valid_set$suffix"
        --eval_data "${test_names[@]/#/$data/}" --eval_dump "${test_dumps[@]/%/$suffix}")
fi

# recognise DUMP OUT: with the pretrained ASR, which no chain has changed
recognise() {
    beside decode_asr --config "$conf/decode_asr.yaml" --model "$exp/asr" --dump "$1" --out "$2" \
        "${few_jobs[@]}" "${redo[@]}"
}

# A configuration that is missing or has a fault is named now, not after hours of other stages.
if [[ -z $source ]]; then
    reads learn_tokenizer "$tokenizer_name"
    [[ $has_units == false ]] || reads make_units units
    reads validate bpe
    reads train_bpe bpe
    for name in train_asr train_t2s train_s2a; do reads "$name" "$name"; done
fi
reads train_chain "${chain_names[@]/#/chain_}"
for name in decode_asr decode_t2s synthesize; do reads "$name" "$name"; done
[[ ${#configs[@]} -eq 0 ]] || python3 -m tokenchain_toolkit.bin.check_configs "${configs[@]}"

if is_stage data; then
    export data num_jobs train_set valid_set test_sets source tag    # local/data.sh reads what it has a use for
    read -r -a more <<<"$data_args"
    work local/data.sh "${redo[@]}" "${more[@]}"
    for set in "${source_names[@]}"; do
        adopted "$data/$set"
    done
fi

if is_stage validate; then
    read -r -a more <<<"$validate_args"
    text_units=(--bpe_config "$conf/bpe.yaml")
    [[ -z $source ]] || text_units=(--token_list "$source/$token_list")
    call validate "${own_sets[@]/#/$data/}" "${training_data[@]}" "${text_units[@]}" --num_jobs "$num_jobs" \
        "${redo[@]}" "${more[@]}"
fi

if is_stage learn_tokenizer; then
    adopted "$tokenizer" || call learn_tokenizer --config "$conf/$tokenizer_name.yaml" --data "$data/$train_set" \
        --out "$tokenizer" --device "$device" "${redo[@]}"
fi

if is_stage extract_tokens; then
    for set in "${source_names[@]}"; do
        adopted "$dump/$set"
    done
    for set in "${own_sets[@]}"; do
        call extract_tokens --tokenizer "$tokenizer" --data "$data/$set" --out "$dump/$set" "${jobs[@]}" "${redo[@]}"
    done
fi

if is_stage make_units; then
    if [[ $has_units == true ]]; then
        adopted "$exp/units_$tag" || call learn_units --config "$conf/units.yaml" --dump "$dump/$train_set" \
            --out "$exp/units_$tag" "${redo[@]}"
    else
        echo "no units (conf/units.yaml), so ASR and T2S work on frames"
    fi
    for set in "${all_sets[@]}" "${replay_names[@]}"; do
        convert "$dump/$set" "$(units_of "$dump/$set")"
    done
fi

if is_stage train_bpe; then
    adopted "$token_list" || call train_bpe --config "$conf/bpe.yaml" --out "$token_list" "${redo[@]}" \
        --text "$data/$train_set/text"
fi

for model in asr t2s; do
    if is_stage "train_$model"; then
        adopted "$exp/$model" "${model_files[@]}" || beside "train_$model" --config "$conf/train_$model.yaml" "${training_sets[@]}" \
            --token_list "$token_list" --out "$exp/$model" "${how_to_train[@]}"
    fi
done
wait_for_all

if is_stage train_chain; then
    for chain in "${chain_names[@]}"; do
        beside train_chain --config "$conf/chain_$chain.yaml" "${chain_sets[@]}" --asr "$exp/asr" --t2s "$exp/t2s" \
            --out "$exp/chain_$chain" "${how_to_train[@]}"
    done
    wait_for_all
fi

# What follows up to decode_t2s needs the chains at most, so it may run beside S2A's training.
if is_stage train_s2a && [[ $speaks == true ]]; then
    adopted "$exp/s2a" "${model_files[@]}" || beside train_s2a --config "$conf/train_s2a.yaml" "${training_data[@]}" \
        --train_dump "$dump/$train_set" --valid_dump "$dump/$valid_set" --tokenizer "$tokenizer" --out "$exp/s2a" \
        "${how_to_train[@]}"
fi

if is_stage decode_asr; then
    for set in "${test_names[@]}"; do
        recognise "$(units_of "$dump/$set")" "$exp/asr/decode_$set"
        for chain in "${chain_names[@]}"; do
            beside decode_asr --config "$conf/decode_asr.yaml" --model "$exp/chain_$chain/asr" \
                --dump "$(units_of "$dump/$set")" --out "$exp/chain_$chain/decode_$set" "${few_jobs[@]}" "${redo[@]}"
        done
    done
fi

# draw MODEL EXPERIMENT ASR: the texts of set $set as tokens; the ASR listens if conf/decode_t2s.yaml asks for that
draw() {
    beside decode_t2s --config "$conf/decode_t2s.yaml" --model "$exp/$1" --data "$data/$set" \
        --dump "$(units_of "$dump/$set")" --norms_data "$data/$valid_set" --norms_dump "$(units_of "$dump/$valid_set")" \
        --listener "$exp/$3" --out "$exp/$2/t2s_$set" --device "$device" "${redo[@]}"
}

if is_stage decode_t2s; then
    for set in "${synth_names[@]}"; do
        [[ -z $source ]] || draw t2s t2s asr
        for chain in "${chain_names[@]}"; do
            draw "chain_$chain/t2s" "chain_$chain" "chain_$chain/asr"
        done
    done
fi
wait_for_all

# speak DUMP EXPERIMENT: some of set $set by S2A from the semantic tokens of DUMP, in the same voices whatever the dump
speak() {
    beside synthesize --config "$conf/synthesize.yaml" --tokenizer "$tokenizer" --s2a "$exp/s2a" --dump "$1" \
        --prompt_dump "$dump/$set" --data "$data/$set" --max_utts "$synth_utts" --out "$exp/$2/synth_$set" \
        "${few_jobs[@]}" "${redo[@]}"
}

if is_stage synthesize && [[ $speaks == true ]]; then
    for set in "${synth_names[@]}"; do
        call synthesize --tokenizer "$tokenizer" --dump "$dump/$set" --data "$data/$set" \
            --out "$exp/codec/synth_$set" "${jobs[@]}" "${redo[@]}"
        speak "$dump/$set" s2a
        for chain in "${chain_names[@]}"; do
            convert "$exp/chain_$chain/t2s_$set" "$(frames_of "$exp/chain_$chain/t2s_$set")" --expand
            speak "$(frames_of "$exp/chain_$chain/t2s_$set")" "chain_$chain"
        done
    done
    wait_for_all
fi

if is_stage score; then
    # Speech that was made is made into tokens and recognised: the codec's round trip, and that of S2A. So are T2S's tokens.
    drawn=("${chain_names[@]/#/chain_}")
    made=()
    [[ $speaks == false ]] || made=(codec s2a "${drawn[@]}")
    [[ -z $source ]] || drawn+=(t2s)
    for set in "${synth_names[@]}"; do
        for experiment in "${made[@]}"; do
            beside extract_tokens --tokenizer "$tokenizer" --data "$exp/$experiment/synth_$set" \
                --out "$exp/$experiment/dump_$set" "${few_jobs[@]}" "${redo[@]}"
        done
    done
    wait_for_all
    for set in "${synth_names[@]}"; do
        for experiment in "${made[@]}"; do
            convert "$exp/$experiment/dump_$set" "$(units_of "$exp/$experiment/dump_$set")"
            recognise "$(units_of "$exp/$experiment/dump_$set")" "$exp/$experiment/synth_decode_$set"
        done
        for experiment in "${drawn[@]}"; do
            recognise "$exp/$experiment/t2s_$set" "$exp/$experiment/t2s_decode_$set"
        done
    done
    wait_for_all

    for set in "${test_names[@]}"; do
        score_text asr asr "$exp/asr/decode_$set" "$set" "$data/$set/text" --trained "$exp/asr" --metric wer cer
        for chain in "${chain_names[@]}"; do
            folder=$exp/chain_$chain
            against "decode_$set" asr
            score_text "chain_$chain" chain "$folder/decode_$set" "$set" "$data/$set/text" --trained "$folder/asr" \
                --metric wer cer "${compared[@]}"
        done
    done
    for set in "${synth_names[@]}"; do
        [[ -z $source ]] || score_drawn t2s t2s "$exp/t2s"
        for chain in "${chain_names[@]}"; do
            against "t2s_decode_$set" t2s
            score_drawn "chain_$chain" chain "$exp/chain_$chain/t2s" "${compared[@]}"
        done
        [[ $speaks == true ]] || continue
        score_text codec codec "$exp/codec/synth_decode_$set" "$set" "$data/$set/text" --metric_name resynthesis_wer
        score_text s2a s2a "$exp/s2a/synth_decode_$set" "$set" "$exp/s2a/synth_$set/text" --trained "$exp/s2a" \
            --metric_name s2a_wer
        for chain in "${chain_names[@]}"; do
            folder=$exp/chain_$chain
            against "synth_decode_$set"
            score_text "chain_$chain" chain "$folder/synth_decode_$set" "$set" "$folder/synth_$set/text" \
                --trained "$folder/t2s" --metric_name synthesis_wer "${compared[@]}"
        done
        call error_ladder --exp "$exp" --data "$data/$set" --experiments "${chain_names[@]/#/chain_}" \
            --device "$device" --out "$exp/ladder_$set" "${redo[@]}"
    done
fi

if is_stage report; then
    call report --exp "$exp" --data "$data" --dump "$dump" --out "$results" --title "$title"
fi
