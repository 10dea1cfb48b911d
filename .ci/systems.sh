# shellcheck shell=bash
# The stages of .ci/run that run in a whole other system, in a folder. Sourced by it.
#
# debootstrap makes a folder with that system's package manager, git and nothing else, once; it is
# kept in the cache, and each run works in a copy. Packages come from the mirror that this system's
# apt is set to, and stay in the cache too.

# The Debian mirror of this system's apt configuration.
debian_mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' \
        2>/dev/null | awk '$1 == "Debian" && $2 == "Debian" && !found++ { print $3 }'
}

check_systems() {
    ((EUID == 0)) || skip 'making another system in a folder needs root'
    unshare --mount --pid --fork true 2>/dev/null ||
        skip 'mounting is not allowed here (unshare --mount fails), and apt needs /proc and /dev'
}

# Sets `base` to a folder with a bare SUITE, made now if it is not in the cache.
find_base() {
    local suite=$1 mirror
    base=$cache/$suite
    [[ ! -d $base ]] || return 0
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || skip "the apt configuration here names no Debian mirror to get $suite from"
    rm -rf -- "$base.new"
    step "debootstrap $suite" "$root/build/debootstrap-$suite.log" \
        debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$base.new" "$mirror" ||
        die "debootstrap could not make $suite from $mirror"
    rm -rf -- "$base.new"/var/cache/apt/archives/*.deb
    mv -- "$base.new" "$base"
}

# What apt is told here about reaching a mirror is told there too. And it has the names that a system has
# which was not made by debootstrap.
copy_network() {
    local system=$1
    [[ -e $system/etc/hosts ]] || printf '127.0.0.1 localhost\n::1 localhost\n' >"$system/etc/hosts"
    cp -L -- /etc/resolv.conf "$system/etc/resolv.conf"
    apt-config dump Acquire::http Acquire::https Acquire::Check-Valid-Until Acquire::Check-Date \
        >"$system/etc/apt/apt.conf.d/99host"
}

# in_system FOLDER DEBS SCRIPT: run the script there, with /proc and /dev. In namespaces of its own:
# when it ends, however it ends, its mounts are gone and nothing that it started is left.
in_system() {
    # shellcheck disable=SC2016 # expanded by the inner shells
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        # So that / is a mount there, as it is in a system that was booted: tests have mounts of their own.
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --bind "$2" "$1/var/cache/apt/archives"
        # Not by exec: this shell is the one that buries orphans.
        env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            chroot "$1" bash -euc "$3"
        exit $?
    ' system "$1" "$2" "$3" </dev/null
}

# try_system SUITE SCRIPT: the script in a bare SUITE, with a fresh clone in $clone.
try_system() {
    local suite=$1 script=$2 base system debs status=0
    check_systems
    debs=$cache/$suite-packages
    mkdir -p -- "$debs" "$root/build"
    # Another run on this machine may be here: one at a time.
    exec 9>"$cache/lock"
    flock 9
    find_base "$suite"
    system=$(mktemp -d -- "$cache/$suite-run.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now
    trap "stop_ticker; rm -rf --one-file-system -- '$system'" EXIT
    cp -a -- "$base/." "$system"
    copy_network "$system"
    # Through a bundle, so that it does not matter who owns the checkout.
    git -c safe.directory="$root" -C "$root" bundle create --quiet "$system/srv/herdgate.bundle" HEAD
    in_system "$system" "$debs" "$in_a_fresh_clone $script" || status=$?
    return "$status"
}

# What the scripts of the stages begin with; the rest of the file's quotes are expanded there too.
# shellcheck disable=SC2016
in_a_fresh_clone='
clone="/srv/a fresh clone"
cd /srv
git -c init.defaultBranch=main -c advice.detachedHead=false clone --quiet herdgate.bundle "$clone"
cd /

# without_network COMMAND...: with nothing but the loopback device.
without_network() {
    unshare --net bash -euc '\''
        perl -MSocket -e "
            socket(my \$socket, AF_INET, SOCK_DGRAM, 0);
            my \$up = pack(q(a16 s x22), q(lo), 1);
            ioctl(\$socket, 0x8914, \$up) or die qq(cannot bring up lo: \$!\n);"
        "$@"'\'' without_network "$@"
}

nothing_left() {
    if grep -l redis /proc/[0-9]*/comm 2>/dev/null || [[ -e /etc/init.d/redis-server ]]; then
        echo "a redis-server, or a service, was left behind"
        exit 1
    fi
}
'

# Both commands from nothing. The second one proves that packages are all that came from outside. There
# is no python3 here, and the tests that are written in it are skipped: the stage `tests` has them.
# shellcheck disable=SC2016
stage_debian_12() {
    try_system bookworm '"$clone/tools/quickstart"
        nothing_left
        without_network "$clone/tests/run"
        nothing_left'
}

# Redis 8 and hiredis 1.x, with TLS, and every test; then what concerns connections against Valkey, and a
# build with probes.
# shellcheck disable=SC2016
stage_debian_13() {
    try_system trixie '
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes \
            --no-install-recommends python3-jsonschema python3-prometheus-client; } >/srv/python.log 2>&1 || {
            tail -n 3 /srv/python.log
            echo "  skipped: the tests that want python3-jsonschema or python3-prometheus-client"
        }
        "$clone/tests/run"
        if DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends \
            valkey-tools >/srv/valkey.log 2>&1; then
            # The server itself, under the name of its checking tool.
            HERDGATE_REDIS_SERVER=/usr/bin/valkey-check-rdb \
                "$clone/tests/run" -R "^test_pool_(command|dirt|faults|fence|lease|raw|setup|tls)$"
        else
            tail -n 3 /srv/valkey.log
            echo "  skipped: Valkey cannot be installed there"
        fi
        if DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends \
            systemtap-sdt-dev >/srv/probes.log 2>&1; then
            { cmake -G Ninja -S "$clone" -B /srv/probes -DHERDGATE_USDT=ON -DHERDGATE_WERROR=ON \
                -DHERDGATE_TESTS=OFF -DHERDGATE_TOOLS=OFF && cmake --build /srv/probes; } \
                >/srv/probes.log 2>&1 || {
                tail -n 40 /srv/probes.log
                exit 1
            }
            "$clone/tests/pool/check_probes" /srv/probes/libherdgate.so "$clone/README.md" ON
        else
            tail -n 3 /srv/probes.log
            echo "  skipped: sys/sdt.h cannot be installed there"
        fi'
}

# CBMC, from the system that packages a recent one.
# shellcheck disable=SC2016
stage_cbmc() {
    check_systems
    mkdir -p -- "$cache" "$root/build"
    (
        exec 9>"$cache/lock"
        flock 9
        find_base trixie
    ) || skip 'a Debian 13, which has a CBMC that is recent enough, cannot be made here'
    try_system trixie '
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes \
            --no-install-recommends cbmc cadical gcc libc6-dev; } >/srv/apt.log 2>&1 || {
            tail -n 3 /srv/apt.log
            echo "  skipped: CBMC cannot be installed there"
            exit '"$skipped"'
        }
        "$clone/tests/proofs/run"'
}
