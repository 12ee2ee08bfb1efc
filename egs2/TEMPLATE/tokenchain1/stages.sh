# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# What runs the stages of a recipe: options, the choice of stages, commands one after another or side by side.
# Before it is sourced: stages=(names), options=(names), for each option a variable that holds its default, and
# tiny=(options that --tiny stands for).

fail() {
    echo "run.sh: error: $*" >&2
    exit 1
}

list_stages() {
    local number
    echo "Stages:"
    for number in "${!stages[@]}"; do
        printf '  %2d  %s\n' "$((number + 1))" "${stages[$number]}"
    done
}

usage() {
    local option
    echo "Usage: run.sh [--OPTION VALUE]... [--list_stages] [--dry_run] [--overwrite] [--tiny]"
    echo "Options and defaults:"
    for option in "${options[@]}"; do
        printf '  --%-14s "%s"\n' "$option" "${!option}"
    done
    list_stages
}

stage_number() {
    local number
    for number in "${!stages[@]}"; do
        if [[ $1 == "${stages[$number]}" || $1 == "$((number + 1))" ]]; then
            echo "$((number + 1))"
            return
        fi
    done
    fail "no stage '$1'; run.sh --list_stages lists them"
}

# parse ARGUMENTS...: set the variables of the options that are given
dry_run=false
redo=()    # argument of every command
parse() {
    while [[ $# -gt 0 ]]; do
        case $1 in
            --list_stages) list_stages; exit 0 ;;
            --help | -h) usage; exit 0 ;;
            --dry_run) dry_run=true; shift; continue ;;
            --overwrite) redo=(--overwrite); shift; continue ;;
            --tiny) shift; set -- "${tiny[@]}" "$@"; continue ;;
        esac
        [[ $1 == --* && " ${options[*]} " == *" ${1#--} "* ]] || fail "unknown option '$1'; run.sh --help lists them"
        [[ $# -gt 1 ]] || fail "$1 needs a value"
        printf -v "${1#--}" '%s' "$2"
        shift 2
    done
    first=$(stage_number "$stage")
    last=$(stage_number "$stop_stage")
    [[ $first -le $last ]] || fail "--stage $stage comes after --stop_stage $stop_stage"
    [[ $num_jobs =~ ^[1-9][0-9]*$ && $side_by_side =~ ^[1-9][0-9]*$ ]] ||
        fail "--num_jobs $num_jobs and --side_by_side $side_by_side must be whole numbers from 1"
    [[ $synth_utts =~ ^[1-9][0-9]*$ ]] || fail "--synth_utts $synth_utts must be a whole number from 1"
    [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || fail "--tag '$tag' must be a name of A-Z a-z 0-9 _ . -"
    [[ $num_gpus =~ ^([1-9][0-9]*)?$ ]] || fail "--num_gpus $num_gpus must be a whole number from 1"
}

is_chosen() {
    local number
    number=$(stage_number "$1")
    [[ $first -le $number && $number -le $last ]]
}

current=    # the stage that is at work
is_stage() {
    is_chosen "$1" || return 1
    current=$1
    echo "== stage $(stage_number "$1"): $1"
}

# reads STAGE NAME...: fail if a stage is chosen that reads the configurations NAME, and one is not there
configs=()    # those that chosen stages read
reads() {
    local name
    [[ $dry_run == false ]] && is_chosen "$1" || return 0
    for name in "${@:2}"; do
        [[ -f $conf/$name.yaml ]] || fail "$conf/$name.yaml is missing, which stage $1 reads"
        configs+=("$conf/$name.yaml")
    done
}

# share NUMBER: what of it each command of several side by side gets
share() {
    echo "$(($1 > side_by_side ? $1 / side_by_side : 1))"
}

show_or_do() {
    if [[ $dry_run == true ]]; then
        printf '%q ' "$@"
        echo
    else
        "$@"
    fi
}

# work COMMAND ARGUMENTS...: show_or_do, so that a kill ends it
at_work=    # its process: in the background, since a shell hears of a kill only after what runs in the foreground
work() {
    local status=0
    if [[ $dry_run == true ]]; then
        show_or_do "$@"
        return
    fi
    "$@" &
    at_work=$!
    wait "$at_work" || status=$?
    at_work=
    return "$status"
}

# call COMMAND ARGUMENTS...: one command of the toolkit
call() {
    local command=$1
    shift
    work python3 -m "tokenchain_toolkit.bin.$command" "$@"
}

# beside COMMAND ARGUMENTS...: call, in the background while fewer than $side_by_side commands run there
running=()
beside() {
    if [[ $side_by_side -le 1 || $dry_run == true ]]; then
        call "$@"
        return
    fi
    [[ ${#running[@]} -lt $side_by_side ]] || wait_for_one
    local command=$1
    shift
    # Not through a function: its number would be that of a shell, and killing that one leaves the command alive.
    OMP_NUM_THREADS=$(share "$(nproc)") python3 -m "tokenchain_toolkit.bin.$command" "$@" &
    running+=($!)
}

# Wait until a command in the background ends; if it fails, the others are stopped, and go on when run again.
wait_for_one() {
    local index
    while true; do
        for index in "${!running[@]}"; do
            if ! kill -0 "${running[$index]}" 2>/dev/null; then
                wait "${running[$index]}" || fail "a command failed; its message is above"
                unset "running[$index]"
                return
            fi
        done
        sleep 0.2
    done
}

wait_for_all() {
    while [[ ${#running[@]} -gt 0 ]]; do
        wait_for_one
    done
}

# ended STATUS: end what runs in the background, and say how to go on if a stage has not come to its end
ended() {
    local all=("${running[@]}" ${at_work:+"$at_work"})
    if [[ $1 -eq 130 && ${#all[@]} -gt 0 ]]; then    # Ctrl-C has reached them, too: they have ten seconds to say so
        for _ in {1..50}; do
            kill -0 "${all[@]}" 2>/dev/null || break
            sleep 0.2
        done
    fi
    if [[ ${#all[@]} -gt 0 ]]; then
        kill "${all[@]}" 2>/dev/null || true
        wait "${all[@]}" 2>/dev/null || true
    fi
    [[ $1 -eq 0 || -z $current || $dry_run == true ]] ||
        echo "run.sh: stage $current did not come to its end; run the same again$([[ $1 -gt 128 ]] ||
            echo ", once an error that stands above is mended"), and it goes on from there" >&2
}
trap 'ended $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
