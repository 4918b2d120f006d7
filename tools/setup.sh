#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and installs accelpool into a virtual environment; apt packages of bindep.txt where missing.
#
#   tools/setup.sh           what quickstart needs
#   tools/setup.sh --test    also what the tests need, and the package in place (editable)
#
# VENV=DIR    where (default: .venv in the clone)     PYTHON=python3.N    which interpreter
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-$PWD/.venv}
PYTHON=${PYTHON:-python3}
profile=${1:-}

say() { echo "setup: $*" >&2; }

packages() {  # the packages of bindep.txt that apply
    sed -e 's/#.*//' bindep.txt | while read -r name selector; do
        [ -n "$name" ] || continue
        case "$selector" in *test*) [ "$profile" = --test ] || continue ;; esac
        echo "$name"
    done
}

missing=()
for package in $(packages); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
# Another interpreter than Debian's own brings its headers and venv with it.
if ! "$PYTHON" -c 'import sys; sys.exit(sys.prefix != "/usr")' 2>/dev/null; then
    kept=()
    for package in "${missing[@]}"; do
        case "$package" in python3-*) ;; *) kept+=("$package") ;; esac
    done
    missing=("${kept[@]}")
fi
if [ "${#missing[@]}" -gt 0 ]; then
    say "installing ${missing[*]}"
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "setup: install these first, or run as root on Debian or Ubuntu: ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -x "$VENV/bin/python" ]; then
    say "creating $VENV"
    "$PYTHON" -m venv "$VENV"
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
if [ "$profile" = --test ]; then
    say "building and installing accelpool with its tests (a few minutes the first time)"
    "$VENV/bin/pip" install -q -e '.[examples]' -r test-requirements.txt
else
    say "building and installing accelpool (a few minutes the first time)"
    "$VENV/bin/pip" install -q '.[examples]'
fi
say "done: $VENV"
