# shellcheck shell=bash
# The stages of .ci/run that need nothing but this system. Sourced by it.

# A stage that cannot run here ends with this status.
skipped=77

skip() {
    say "  skipped: $*"
    exit "$skipped"
}

# Where .ci/run keeps what it may find again: file systems, packages, what clang-tidy found clean.
if [[ -n ${XDG_CACHE_HOME:-} ]]; then
    cache=$XDG_CACHE_HOME/herdgate-ci
elif ((EUID == 0)); then
    cache=/var/cache/herdgate-ci
else
    cache=$HOME/.cache/herdgate-ci
fi

stage_tests() {
    "$root/tests/run"
}

stage_schema() {
    "$root/tests/policy/check_schema" "$root/policy/herdgate.schema.json" \
        "$root/tests/policy/corpus"
}

# --- text ---------------------------------------------------------------------------------------

scripts() {
    find "$root/tests" "$root/tools" "$root/.ci" -type f -print0 |
        xargs -0 grep -lIE '^#!.*\<(ba)?sh$'
}

stage_shell() {
    local files
    mapfile -t files < <(scripts)
    shellcheck --external-sources --check-sourced --source-path="$root" "${files[@]}"
    say "  ${#files[@]} scripts, and what they source, are clean"
}

# Each version of clang's tools has its own opinion of the same settings, and the tree is held to one.
want_version_14() {
    local version
    version=$("$1" --version | grep version)
    [[ $version == *'version 14.'* ]] ||
        skip "the tree is held to version 14, and here is: $version"
}

stage_format() {
    want_version_14 clang-format
    find "$root"/{include,breaker,policy,pool,tests,tools} -name '*.[ch]' -print0 |
        xargs -0 clang-format --dry-run -Werror
    say '  formatted'
}

# rule TEXT FOLDERS... PATTERN: no source file there has a line like that.
rule() {
    local text=$1 pattern=${!#} found
    shift
    set -- "${@:1:$#-1}"
    found=$(cd -- "$root" && grep -rnE --include='*.[ch]' -- "$pattern" "$@") || return 0
    say "  $text:"
    printf '%s\n' "$found" | sed 's/^/  | /'
    broken=$((broken + 1))
}

# What no compiler says: which room may know which, and what has no place in the tree.
stage_house() {
    local broken=0 long
    rule 'include/ knows no room' include '^#include.*"'
    rule 'breaker/ knows no room above it, nor hiredis, nor cJSON' \
        breaker '^#include.*("(policy|pool|tools)/|hiredis|cJSON|<herdgate/(policy|pool|stats|herdgate)\.h)'
    rule 'policy/ knows no room above it, nor hiredis' \
        policy '^#include.*("(pool|tools)/|hiredis|<herdgate/(pool|stats|herdgate)\.h)'
    rule 'pool/ does not know tools/' pool '^#include.*"tools/'
    rule 'what is to be done is done, or is no comment' \
        include breaker policy pool tools tests '\<(TO[D]O|FIX[M]E)\>'
    long=$(cd -- "$root" && find include breaker policy pool tools tests -name '*.[ch]' \
        -exec awk 'END { if (NR > 500) print "  | " FILENAME ": " NR " lines" }' {} \;)
    if [[ -n $long ]]; then
        say '  a file is one idea, in near 400 lines:' "$long"
        broken=$((broken + 1))
    fi
    ((broken == 0)) || die "$broken rules of the house are broken; see above."
    say '  the rooms stand as they should'
}

# --- clang --------------------------------------------------------------------------------------

stage_clang() {
    build clang
}

# For each file that clang compiles "HASH<newline>FILE<newline>": a hash of all that decides on what clang-tidy
# says of it. That is its version, the checks, the options that the file is compiled with, and the text of
# all that is read then, of which ninja has kept a list; not where the tree lies.
tidy_hashes() {
    local to=$root/build/clang/tidy
    rm -rf -- "$to"
    mkdir -p -- "$to"
    cd -- "$root/build/clang"
    ninja -t deps >"$to/deps"
    sed -n 's/^    //p' "$to/deps" | sort -u | tr '\n' '\0' | xargs -0 sha256sum >"$to/sums"
    # Into a file for each: one that is compiled in several ways is so for each of them.
    root=$root awk '
        BEGIN { root = ENVIRON["root"]; to = root "/build/clang/tidy" }
        FILENAME ~ /sums$/ { sum[substr($0, 67)] = substr($0, 1, 64); next }
        FILENAME ~ /deps$/ && /^    / { read[object] = read[object] sum[substr($0, 5)] "\n"; next }
        FILENAME ~ /deps$/ { object = $0; sub(/: #deps .*/, "", object); next }
        /^  "command": / {
            command = substr($0, index($0, " -"))
            object = command
            sub(/ -c .*/, "", object)
            sub(/.* -o /, "", object)
            gsub(/\\"/, "", command) # round what has spaces
            while (i = index(command, root))
                command = substr(command, 1, i - 1) "." substr(command, i + length(root))
        }
        /^  "file": / {
            file = $0
            sub(/^  "file": "/, "", file)
            sub(/",?$/, "", file)
            if (!(file in number)) {
                number[file] = ++count
                print file >(to "/files")
            }
            if (!(object in read)) {
                print "what " object " reads is not known" >"/dev/stderr"
                exit 1
            }
            print command "\n" read[object] >>(to "/" number[file] ".what")
            close(to "/" number[file] ".what")
        }
    ' "$to/sums" "$to/deps" compile_commands.json
    { clang-tidy --version && find "$root" -path "$root/build" -prune -o \
        -name .clang-tidy -type f -print0 | sort -z | xargs -0 cat; } >"$to/common"
    local file i=0
    while read -r file; do
        i=$((i + 1))
        cat -- "$to/common" "$to/$i.what" | sha256sum | cut -d ' ' -f 1
        printf '%s\n' "$file"
    done <"$to/files"
}

tidy_file() {
    local mark=$cache/tidy/$1 file=$2
    [[ ! -e $mark ]] || return 0
    # On stderr it only counts what it has suppressed.
    clang-tidy -p "$root/build/clang" --quiet "$file" 2>"$mark.$$" || {
        grep -v 'warnings\? generated\|warnings\? treated' "$mark.$$" >&2
        rm -f -- "$mark.$$"
        return 1
    }
    mv -- "$mark.$$" "$mark"
}

stage_tidy() {
    local files
    want_version_14 clang-tidy
    build clang
    mkdir -p -- "$cache/tidy"
    find "$cache/tidy" -type f -mtime +30 -delete
    (tidy_hashes) >"$root/build/tidy-hashes"
    mapfile -t files <"$root/build/tidy-hashes"
    [[ ${#files[@]} -gt 0 ]] || die 'build/clang/compile_commands.json names no file.'
    export root cache
    export -f tidy_file
    # shellcheck disable=SC2016 # expanded by the shell that xargs starts
    printf '%s\0' "${files[@]}" |
        xargs -0 -n 2 -P "$jobs" bash -c 'tidy_file "$1" "$2"' tidy ||
        die 'clang-tidy has something to say; see above.'
    say "  $((${#files[@]} / 2)) files are clean"
}

# --- at run time --------------------------------------------------------------------------------

# Sanitizers write what they find into files here, one for each process: also for a forked child
# whose exit status nobody looks at.
findings=$root/build/findings

no_findings() {
    local file found=0
    for file in "$findings"/*; do
        [[ -e $file ]] || continue
        found=$((found + 1))
        ((found > 5)) || sed 's/^/  | /' "$file"
    done
    ((found == 0)) || die "$found reports, the first of them above, all in $findings"
}

new_findings() {
    rm -rf -- "$findings"
    mkdir -p -- "$findings"
}

# The tools themselves under load, where they are built.
short_runs() {
    local bin=$1
    shift
    if [[ -x $bin/herdgate-stress ]]; then
        step 'herdgate-stress concurrency' "$root/build/short-run.log" \
            "$@" "$bin/herdgate-stress" concurrency --threads 16 --connections 4 --duration 5s
    fi
    if [[ -x $bin/retry-example ]]; then
        step 'retry-example' "$root/build/short-run.log" "$@" "$bin/retry-example"
    fi
}

# In the options of the sanitizers a path is quoted: it may hold spaces.
stage_asan() {
    build asan
    new_findings
    export ASAN_OPTIONS="log_path='$findings/asan':detect_leaks=1:detect_stack_use_after_return=1"
    export UBSAN_OPTIONS="log_path='$findings/ubsan':halt_on_error=1:print_stacktrace=1"
    find_ctest asan
    "${ctest[@]}" || {
        no_findings
        die 'tests failed under AddressSanitizer.'
    }
    short_runs "$root/build/asan/bin"
    no_findings
}

# Sets `fixed` to what makes ThreadSanitizer's address layout possible here, or skips.
find_fixed_addresses() {
    local probe=$root/build/tsan-probe
    printf 'int main(void) { return 0; }\n' | cc -x c -fsanitize=thread -o "$probe" -
    fixed=()
    ! "$probe" >/dev/null 2>&1 || return 0
    fixed=(setarch "$(uname -m)" -R)
    "${fixed[@]}" "$probe" >/dev/null 2>&1 ||
        skip 'ThreadSanitizer cannot start here: address randomisation, and setarch -R is not allowed'
}

stage_tsan() {
    local fixed
    build tsan
    find_fixed_addresses
    new_findings
    export TSAN_OPTIONS="log_path='$findings/tsan':second_deadlock_stack=1:exitcode=66"
    find_ctest tsan
    "${fixed[@]}" "${ctest[@]}" || {
        no_findings
        die 'tests failed under ThreadSanitizer.'
    }
    short_runs "$root/build/tsan/bin" "${fixed[@]}"
    no_findings
}

stage_valgrind() {
    local example=$root/build/ci/bin/retry-example
    build ci tools/all
    [[ -x $example ]] || skip 'retry-example is not built'
    step 'retry-example under valgrind' "$root/build/valgrind.log" \
        valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
        --show-leak-kinds=definite,indirect,possible --error-exitcode=9 "$example"
}

stage_mutants() {
    local pool status=0
    setup_build
    build ci
    # The one computes, the other waits for most of its time.
    "$root/tests/mutants/pool" >"$root/build/mutants-pool.log" 2>&1 &
    pool=$!
    "$root/tests/mutants/run" || status=$?
    wait "$pool" || status=$?
    cat -- "$root/build/mutants-pool.log"
    return "$status"
}

# --- fuzzing ------------------------------------------------------------------------------------

fuzz_targets=(policy url duration classify)

# What libFuzzer makes new goes to a folder of this run; the inputs of the tree are only read.
fuzz_target() {
    local name=$1 from=$root/tests/fuzz inputs=$root/build/fuzz-inputs/$1 folders=() words=()
    mkdir -p -- "$inputs" "$root/build/fuzz-found/$name"
    [[ ! -d $from/found/$name ]] || folders+=("$from/found/$name")
    [[ ! -e $from/$name.dict ]] || words=(-dict="$from/$name.dict")
    [[ $name != policy ]] || folders+=("$root"/tests/policy/corpus/{good,bad})
    step "fuzz_$name" "$root/build/fuzz-$name.log" \
        timeout -k 10 $((fuzz_seconds * 2 + 300)) "$root/build/fuzz/tests/fuzz/fuzz_$name" \
        -max_total_time="$fuzz_seconds" -seed="$fuzz_seed" -timeout=120 -rss_limit_mb=3000 \
        -artifact_prefix="$root/build/fuzz-found/$name/" "${words[@]}" \
        "$inputs" "$from/seeds/$name" "${folders[@]}"
}

# Two at a time. HERDGATE_FUZZ_SECONDS is the time of each, HERDGATE_FUZZ_SEED where chance begins.
stage_fuzz() {
    local fuzz_seconds=${HERDGATE_FUZZ_SECONDS:-60} fuzz_seed=${HERDGATE_FUZZ_SEED:-1}
    local name running=() failed=0
    build fuzz
    rm -rf -- "$root"/build/fuzz-{inputs,found}
    say "  ${#fuzz_targets[@]} targets, $fuzz_seconds s each, seed $fuzz_seed"
    for name in "${fuzz_targets[@]}"; do
        if ((${#running[@]} == 2)); then
            wait "${running[0]}" || failed=$((failed + 1))
            running=("${running[@]:1}")
        fi
        fuzz_target "$name" &
        running+=($!)
    done
    for name in "${running[@]}"; do
        wait "$name" || failed=$((failed + 1))
    done
    ((failed == 0)) ||
        die "$failed targets failed; what broke them is in build/fuzz-found." \
            'Mend it, and keep the input in tests/fuzz/found/TARGET: ctest runs it from then on.'
    grep -h '^Done' "$root"/build/fuzz-*.log | sed 's/^/  /'
}
