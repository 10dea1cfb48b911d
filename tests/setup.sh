# shellcheck shell=bash
# What tools/quickstart, tests/run and .ci/run share. Sourced, never run.
#
# setup_packages checks for each thing that is needed by looking for the thing itself, and asks the
# system's package manager only for what is not there. So a second run touches no network, and a
# hand-built hiredis is as good as a packaged one. No needed package starts a service: the server
# binary that the tests run privately comes with redis-tools.

root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${HERDGATE_JOBS:-$(nproc 2>/dev/null || echo 2)}
ticker=

say() {
    printf '%s\n' "$*"
}

heading() {
    if [[ -t 1 ]]; then
        printf '\n\033[1m%s\033[0m\n' "$*"
    else
        printf '\n== %s\n' "$*"
    fi
}

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    [[ $# -eq 0 ]] || printf '  %s\n' "$@" >&2
    exit 1
}

# --- long steps ---------------------------------------------------------------------------------

# One line that shows that a step is alive: rewritten on a terminal, a dot every 20 s elsewhere.
tick() {
    local name=$1 log=$2 began=$SECONDS last
    while sleep 1; do
        if [[ -t 1 ]]; then
            last=$(tail -n 1 -- "$log" 2>/dev/null | tr -cd '[:print:]') || last=
            printf '\r\033[K  %s … %d s  %.60s' "$name" $((SECONDS - began)) "$last"
        elif (((SECONDS - began) % 20 == 0)); then
            printf '  %s … %d s\n' "$name" $((SECONDS - began))
        fi
    done
}

stop_ticker() {
    [[ -n $ticker ]] || return 0
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    ticker=
    [[ ! -t 1 ]] || printf '\r\033[K'
}
trap stop_ticker EXIT

# step NAME LOG COMMAND...: run it with its output in LOG; a line or two for the reader. If it
# fails, the end of the log is shown and its status returned.
step() {
    local name=$1 log=$2 began=$SECONDS status=0
    shift 2
    mkdir -p -- "$(dirname -- "$log")"
    : >"$log"
    tick "$name" "$log" &
    ticker=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    stop_ticker
    if ((status == 0)); then
        say "  $name: $((SECONDS - began)) s"
        return 0
    fi
    say "  $name: failed after $((SECONDS - began)) s. The end of $log:"
    tail -n 40 -- "$log" | sed 's/^/  | /'
    return "$status"
}

# --- what is needed -----------------------------------------------------------------------------

has_compiler() {
    command -v cc && command -v c++ && printf '#include <stdlib.h>\n' | cc -E -x c -o /dev/null -
}

has_cmake() {
    local version
    version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    local major=${version% *} minor=${version#* }
    [[ -n $version ]] && ((major > 3 || (major == 3 && minor >= 22)))
}

has_server() {
    command -v redis-server || command -v redis-check-rdb
}

has_fuzzer() {
    local probe status=0
    probe=$(mktemp) || return 1
    printf 'int LLVMFuzzerTestOneInput(const char *at, unsigned long size);
        int LLVMFuzzerTestOneInput(const char *at, unsigned long size) { return !at && size; }\n' |
        clang -fsanitize=address,fuzzer -x c -o "$probe" - || status=1
    rm -f -- "$probe"
    return "$status"
}

# Of the python3 in PATH or, as tests/pool/check_openmetrics looks for it, of the system's.
has_parser() {
    local python
    for python in python3 /usr/bin/python3; do
        ! "$python" -c 'import prometheus_client.openmetrics.parser' || return 0
    done
    return 1
}

# has NAME: is it here? The names are those of Debian's packages.
has() {
    case $1 in
    build-essential) has_compiler ;;
    cmake) has_cmake ;;
    ninja-build) command -v ninja ;;
    pkg-config) command -v pkg-config ;;
    libhiredis-dev) pkg-config --exists 'hiredis >= 0.14' ;;
    libcjson-dev) pkg-config --exists 'libcjson >= 1.7.13' ;;
    libcriterion-dev) pkg-config --exists criterion ;;
    redis-tools) has_server ;;
    libclang-rt-dev) has_fuzzer ;;
    python3-jsonschema) python3 -c 'from jsonschema import Draft202012Validator' ;;
    python3-prometheus-client) has_parser ;;
    debootstrap) PATH=$PATH:/usr/sbin:/sbin command -v debootstrap ;;
    debian-archive-keyring) [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# The same in words, for a system whose packages have other names.
describe() {
    case $1 in
    build-essential) say 'a C and a C++ compiler with the C library headers' ;;
    cmake) say 'CMake 3.22 or later' ;;
    ninja-build) say 'Ninja' ;;
    libhiredis-dev) say 'hiredis 0.14 or later, with headers and its pkg-config file' ;;
    libcjson-dev) say 'cJSON 1.7.13 or later, with headers and its pkg-config file' ;;
    libcriterion-dev) say 'Criterion, with headers and its pkg-config file' ;;
    libclang-rt-dev) say 'the sanitizers and libFuzzer of clang' ;;
    python3-jsonschema) say 'jsonschema 4.0 or later for Python 3' ;;
    python3-prometheus-client) say "Prometheus's client for Python 3, whose parser it is" ;;
    redis-tools) say 'redis-server (any of Redis 6.2 or later, or Valkey)' ;;
    *) say "$1" ;;
    esac
}

# Fills `missing` with those of its arguments that are not here.
find_missing() {
    local name
    missing=()
    for name; do
        has "$name" || missing+=("$name")
    done
}

# Sets `system` to the system's ID: debian, ubuntu, or what else it says.
find_system() {
    local line id='' like=''
    if [[ -r /etc/os-release ]]; then
        while IFS= read -r line; do
            case $line in
            ID=*) id=${line#ID=} ;;
            ID_LIKE=*) like=${line#ID_LIKE=} ;;
            esac
        done </etc/os-release
    fi
    id=${id//\"/} like=${like//\"/}
    system=${id:-unknown}
    case " $id $like " in
    *' ubuntu '*) system=ubuntu ;;
    *' debian '*) system=debian ;;
    esac
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
        apt-get -y -o DPkg::Lock::Timeout=120 "$@"
}

# Does apt know a version of it that can be installed?
has_candidate() {
    local answer
    answer=$(LC_ALL=C apt-cache policy -- "$1" 2>/dev/null)
    [[ $answer == *'Candidate: '* && $answer != *'Candidate: (none)'* ]]
}

# Packages that apt does not know: say what to do about it, and stop.
check_candidates() {
    local name sudo='' unknown=()
    for name; do
        has_candidate "$name" || unknown+=("$name")
    done
    [[ ${#unknown[@]} -gt 0 ]] || return 0
    if [[ $system == ubuntu ]]; then
        ((EUID == 0)) || sudo='sudo '
        die "apt does not know: ${unknown[*]}" \
            "They are in Ubuntu's universe, which is not switched on here. Switch it on with" \
            "  ${sudo}apt-get install -y software-properties-common && ${sudo}add-apt-repository -y universe" \
            "and run this again."
    fi
    die "apt does not know: ${unknown[*]}" \
        "Is the network there, and does /etc/apt list the main component of a Debian mirror?"
}

install_missing() {
    local log=$1
    local command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die 'installing packages needs root, and there is no sudo.' \
            'Run this as root, or have somebody run once, as root:' "  $command"
        say '  (sudo may ask for your password)'
        sudo true || die 'sudo did not work. Have somebody run once, as root:' "  $command"
    fi
    # A source that cannot be reached need not be the one that has what is missing: go on.
    step 'apt-get update' "$log" apt update ||
        say '  Going on with the package lists as they are.'
    check_candidates "${missing[@]}"
    step "apt-get install" "$log" apt install --no-install-recommends "${missing[@]}" ||
        die 'the packages could not be installed; the lines above say why.' \
            "When that is mended, run this again, or install them yourself: $command"
}

# setup_packages NAME...: what is not here is installed, after saying so. When this returns,
# everything is here.
setup_packages() {
    local missing=() system name
    find_missing "$@"
    [[ ${#missing[@]} -gt 0 ]] || return 0
    find_system
    if [[ $system == debian || $system == ubuntu ]] && command -v apt-get >/dev/null; then
        heading "Installing what is missing: ${missing[*]}"
        install_missing "$root/build/packages.log"
        find_missing "$@"
        [[ ${#missing[@]} -gt 0 ]] || return 0
        say "Installed, and still not usable:"
    else
        say "This script installs packages on Debian and Ubuntu only. Missing here:"
    fi
    for name in "${missing[@]}"; do
        say "  $(describe "$name")  (Debian: $name)"
    done
    die 'install these with what your system has for it, and run this again.'
}

# The packages that the library, its tools and its tests are built with.
setup_build() {
    if ! mkdir -p -- "$root/build" 2>/dev/null || [[ ! -w $root/build ]]; then
        die "cannot write to $root/build." \
            "Run this as the owner of the checkout, or in a clone of your own."
    fi
    setup_packages build-essential cmake ninja-build pkg-config libhiredis-dev libcjson-dev \
        libcriterion-dev redis-tools
}

# build PRESET [TARGET...]: configure and build in build/PRESET.
build() {
    local preset=$1 log=$root/build/$1.log target=()
    shift
    [[ $# -eq 0 ]] || target=(--target "$@")
    (cd -- "$root" && step "Configuring $preset" "$log" cmake --preset "$preset") &&
        (cd -- "$root" && step "Building $preset" "$log" \
            cmake --build --preset "$preset" --parallel "$jobs" "${target[@]}")
}

# find_ctest PRESET: sets `ctest` to the command that runs the tests of build/PRESET. Some of them
# compute and others wait (tests/CMakeLists.txt): of the former as many at a time as there are cores.
find_ctest() {
    local folder=$root/build/$1
    printf '{ "version": { "major": 1, "minor": 0 },\n  "local": [{ "cores": [{ "id": "all", "slots": %s }] }] }\n' \
        "$jobs" >"$folder/cores.json"
    # shellcheck disable=SC2034 # by who calls it
    ctest=(ctest --test-dir "$folder" --output-on-failure --no-tests=error
        --resource-spec-file "$folder/cores.json" -j $((jobs * 2)))
}
