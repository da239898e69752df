# Sourced by the other scripts: finds a Python, makes .venv beside them, and installs genvx there.
#
#   environment demo      what the package needs
#   environment test      also what its tests and checks need
#   environment lowest    what its tests need, all in the lowest versions that setup.cfg allows; in .venv-lowest
#
# Nothing outside .venv, .venv-lowest and the __pycache__ of the sources is touched. A second run installs nothing.

die() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c '
import sys
import ensurepip, venv
sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    die "genvx needs Python 3.11 or newer, with venv and pip; none was found"
}

# Installs the packages of programs that are missing, given as program:package.
install_debian() {
    local package missing=""
    for package in "$@"; do
        PATH=$PATH:/usr/sbin command -v "${package%%:*}" >/dev/null 2>&1 || missing="$missing ${package#*:}"
    done
    case $missing in *gcc*) missing="$missing libc6-dev" ;; esac
    [ -n "$missing" ] || return 0
    printf 'Installing%s ...\n' "$missing" >&2
    { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        >/dev/null </dev/null ||
        printf 'Some of these could not be installed; what needs them is not tried.\n' >&2
}

# Unpacks a Debian package below .venv, and puts its programs onto PATH: installed, it would start a server.
unpack_debian() {
    local package=$1 place=$venv/debian/$1
    if [ ! -d "$place" ]; then
        printf 'Unpacking %s ...\n' "$package" >&2
        rm -rf "$place.new"
        mkdir -p "$place.new"
        { (cd "$place.new" && { apt-get download -qq "$package" || { apt-get update -qq && apt-get download -qq "$package"; }; } &&
            dpkg-deb -x "$package"_*.deb . && rm "$package"_*.deb) >/dev/null 2>&1 </dev/null &&
            mv "$place.new" "$place"; } ||
            printf '%s could not be fetched; what needs it is not tried.\n' "$package" >&2
    fi
    PATH=$PATH:$place/usr/bin
}

environment() {
    local kind=$1 python stamp wanted
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    venv=$root/.venv
    [ "$kind" = lowest ] && venv=$root/.venv-lowest
    stamp=$venv/installed-$kind
    wanted=$(cksum "$root/setup.cfg" "$root/pyproject.toml")
    if [ ! -x "$venv/bin/python" ]; then
        python=$(find_python) || exit 1
        "$python" -m venv "$venv" || die "cannot make a virtual environment in $venv"
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        local extra="" constraints=""
        [ "$kind" = test ] && extra="[dev]"
        if [ "$kind" = lowest ]; then
            extra="[test]" constraints=$venv/lowest.txt
            "$venv/bin/python" "$root/scripts/lowest.py" >"$constraints"
        fi
        printf 'Installing into %s ...\n' "${venv#"$root"/}" >&2
        # What pip warns of helps nobody while it works, and is needed when it does not.
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            ${constraints:+--constraint "$constraints"} --editable "$root$extra" >"$venv/pip.log" 2>&1 || {
            cat "$venv/pip.log" >&2
            die "cannot install what genvx needs"
        }
        printf '%s\n' "$wanted" >"$stamp"
    fi
    # Tests start genvx thousands of times, and those processes write nothing into the sources.
    "$venv/bin/python" -m compileall -q "$root/genvx" "$root/torture" "$root/benchmarks" || true
    PATH=$venv/bin:$PATH
}
