# shellcheck shell=bash
# What the scripts of this folder share: a list of cases, which are judged side by side. Sourced by them.
#
# A case is one mutation and one test, with a folder of its own. The script notes all of them first, which
# finds those that have lost their line, and then judges them: its function `judge FOLDER` leaves what there
# is to say in `verdict`, and what the test or the compiler wrote in `out`. A case is good if its verdict
# begins with "seen by"; the test on the code as it is, without which that says nothing, is a case too,
# whose good verdict is "passes".

jobs=${HERDGATE_JOBS:-$(nproc 2>/dev/null || echo 2)}
# Tests wait more than they compute. None that waits is in a hurry.
lanes=$((jobs * 2))
tries=5 # of a test that must fail: in some of them threads have to meet for it
work=$(mktemp -d)
scratch=("$work") # gone at the end
cases=()
titles=()
words=()
check=false

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# The arguments: --check, or words of names.
case ${1:-} in
--check) check=true ;;
*) words=("$@") ;;
esac

tidy_up() {
    local left
    left=$(jobs -p)
    # shellcheck disable=SC2086 # a list of numbers
    [[ -z $left ]] || kill $left 2>/dev/null || true
    rm -rf -- "${scratch[@]}"
}
trap tidy_up EXIT

is_wanted() {
    local word
    ((${#words[@]} > 0)) || return 0
    for word in "${words[@]}"; do
        [[ $1 != *"$word"* ]] || return 0
    done
    return 1
}

# new_case TITLE: sets `folder` to that of the case.
new_case() {
    folder=$work/${#cases[@]}
    mkdir -- "$folder"
    cases+=("$folder")
    titles+=("$1")
    printf 'not judged' >"$folder/verdict"
    : >"$folder/out"
}

# mutate NAME FILE SED TO: TO is the file with this edit.
mutate() {
    sed -E "$3" "$root/$2" >"$4"
    ! cmp -s "$root/$2" "$4" || fail "the mutation '$1' no longer finds its line in $2"
}

# side_by_side MOST FUNCTION WORD...: the function with each word, in a shell of its own; so many at a
# time. 1 if one of them failed.
side_by_side() {
    local most=$1 function=$2 word running=0 status=0
    shift 2
    for word; do
        if ((running == most)); then
            wait -n || status=1
            running=$((running - 1))
        fi
        "$function" "$word" &
        running=$((running + 1))
    done
    for ((; running > 0; running--)); do
        wait -n || status=1
    done
    return "$status"
}

# must_fail COMMAND...: as often as it takes; its status, of which 124 is no answer.
must_fail() {
    local status=0 i
    for ((i = 0; i < tries; i++)); do
        "$@" || status=$?
        ((status == 0)) || break
    done
    return "$status"
}

# say_status FOLDER STATUS TEST: the verdict of a test that must fail.
say_status() {
    case $2 in
    0) printf 'SURVIVED %s, %s times' "$3" "$tries" ;;
    124 | 137) printf 'SURVIVED %s, which came to no end' "$3" ;;
    125 | 126 | 127) printf 'NOT JUDGED: %s cannot be started' "$3" ;;
    *) printf 'seen by %s' "$3" ;;
    esac >"$1/verdict"
}

# say_baseline FOLDER STATUS: the verdict of a test on the code as it is.
say_baseline() {
    if (($2 == 0)); then
        printf 'passes'
    else
        printf 'fails on the code as it is, with status %s' "$2"
    fi >"$1/verdict"
}

# judge_all FOLDER...: all cases, in this order, and the end of the script.
judge_all() {
    local i verdict seen=0 bad=0
    side_by_side "$lanes" judge "$@" || true # see the verdicts
    for i in "${!cases[@]}"; do
        verdict=$(<"${cases[i]}/verdict")
        [[ $verdict != passes ]] || continue
        printf '  %-52s %s\n' "${titles[i]}" "$verdict"
        if [[ $verdict == 'seen by '* ]]; then
            seen=$((seen + 1))
        else
            bad=$((bad + 1))
            tail -n 20 -- "${cases[i]}/out"
        fi
    done
    ((bad == 0)) || fail "$bad cases are not as they must be; see above"
    printf '  all were seen, %s times\n' "$seen"
}
