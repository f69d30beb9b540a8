#!/bin/sh
# Makes .venv from the lock file, from nothing but Python 3.11 or later. Done before: returns at once.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
TOOLS=var/tools
STAMP=.venv/duebell.stamp

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

fingerprint() {
    pwd
    cat uv.lock pyproject.toml */pyproject.toml services/*/pyproject.toml deploy/bootstrap.sh | cksum
}

wanted=$(fingerprint)
if [ -x .venv/bin/python ] && [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ]; then
    exit 0
fi

find_python() {
    for candidate in python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    die "Python 3.11 or later is needed; none was found."
}

# Debian and Ubuntu keep what venv needs in a package of its own.
ensure_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    command -v apt-get >/dev/null || die "$python cannot make virtual environments: its ensurepip is missing."
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "Installing python$version-venv ..."
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    mkdir -p var/log
    {
        $as_root apt-get -o DPkg::Lock::Timeout=300 update -q
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends "python$version-venv"
    } >var/log/bootstrap.log 2>&1 || die "apt-get failed; its output is in var/log/bootstrap.log"
}

is_right() { case $("$1" --version 2>/dev/null) in "uv $UV_VERSION" | "uv $UV_VERSION "*) return 0 ;; esac; return 1; }

find_uv() {
    for candidate in uv "$TOOLS/bin/uv"; do
        if is_right "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    ensure_venv
    say "Installing uv $UV_VERSION ..."
    rm -rf "$TOOLS"
    mkdir -p var/log
    {
        "$python" -m venv "$TOOLS" &&
            "$TOOLS/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
                --only-binary :all: --require-hashes --requirement deploy/uv.txt
    } >var/log/bootstrap.log 2>&1 || die "uv could not be installed; the reason is in var/log/bootstrap.log"
    printf '%s\n' "$TOOLS/bin/uv"
}

python=$(find_python)
uv=$(find_uv)
say "Installing the Python packages ..."
UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen --all-packages --quiet --python "$python"
printf '%s\n' "$wanted" >"$STAMP"
