# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Recipes whose chains go on from the models of another recipe, --source: what is taken of it, and the links to it.
# Sourced by tokenchain.sh after stages.sh.

# What is adopted of a model: its files alone, since its results on the sets here go beside them.
model_files=(model.safetensors model.json manifest.json config.yaml metrics.csv token_list)

# takes STAGE FILE...: what a stage, if it is chosen, needs of the recipe in $source
needed=()
takes() {
    ! is_chosen "$1" || needed+=("${@:2}")
}

# adopted FOLDER [NAME]...: a link to FOLDER of the recipe in $source, or to NAMEs in it; false if there is no such recipe
adopted() {
    local folder=$1 name
    [[ -n $source ]] || return 1
    shift
    [[ $# -gt 0 ]] || link_to_source "$folder"
    for name in "$@"; do
        [[ ! -e $source/$folder/$name ]] || link_to_source "$folder/$name"
    done
}

# link_to_source PATH; what follows || runs on after a command that fails, so each failure ends it here
link_to_source() {
    [[ ! -e $1 || -L $1 ]] || fail "$1 was made here; move it away, so that a link to that of $source can take its place"
    show_or_do mkdir -p "$(dirname "$1")" || fail "the folder of $1 cannot be made"
    show_or_do ln -sfn "$(realpath -m "$source")/$1" "$1" || fail "the link $1 cannot be made"
}

# Is all that the chosen stages take of the source there, and is it not mixed with what was made here or is of another?
check_the_source() {
    local own linked links set model
    # Without S2A there is no synthesis: recognition and T2S's tokens tell of the adaptation without it.
    speaks=true
    if [[ -n $source && -f $source/$exp/asr/model.safetensors && ! -f $source/$exp/s2a/model.safetensors ]]; then
        speaks=false
        echo "$source has no S2A in $exp/s2a, so nothing will be synthesized here; its stage train_s2a makes one"
    fi
    own=("${own_sets[@]/#/$data/}" "${own_sets[@]/#/$dump/}")
    linked=("$tokenizer" "$exp/units_$tag" "$token_list" "$exp"/{asr,t2s,s2a}/model.safetensors)
    if [[ -z $source ]]; then
        own+=("${linked[@]}")
        linked=()
    else
        linked+=("${source_names[@]/#/$data/}" "${source_names[@]/#/$dump/}")
        takes data "$token_list"/{bpe.model,tokens.txt,config.yaml}
        takes learn_tokenizer "$tokenizer/manifest.json"
        for set in "${source_names[@]}"; do
            takes data "$data/$set"/{wav.scp,text,utt2spk}
            takes extract_tokens "$dump/$set"/{.done,manifest.json}
        done
        for model in asr t2s; do
            takes "train_$model" "$exp/$model"/{model.safetensors,model.json,token_list/tokens.txt}
            # On units, the model does not know the tokenizer of the frames.
            [[ $has_units == true ]] || takes "train_$model" "$exp/$model/manifest.json"
        done
        [[ $speaks == false ]] || takes train_s2a "$exp/s2a"/{model.safetensors,model.json,manifest.json}
    fi
    links=$(find "$data/" "$dump/" "$exp/" -maxdepth 2 -type l 2>/dev/null || true)
    if [[ $dry_run == false && -n $source$links ]]; then
        call check_source ${source:+--source "$source"} --exp "$exp" --adopted "${linked[@]}" --own "${own[@]}" \
            --needed "${needed[@]}"
    fi
}
