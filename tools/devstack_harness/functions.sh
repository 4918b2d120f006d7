#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What devstack gives a plugin, for one that is tested without a devstack: the same names, against the services of
# tools/integration.  The caller sets HARNESS (a directory of its own), KEYSTONE_URL, DATABASE_URL (without the name),
# DATABASE_ADMIN (a command that reads SQL), BUS_URL (without the virtual host), BIN (of accelpool's environment) and OS_*.
# What devstack does as root is done as whoever runs this.

STACK_USER=$(id -un)
DEST=$HARNESS/dest DATA_DIR=$HARNESS/data
SERVICE_PROTOCOL=http SERVICE_HOST=127.0.0.1 HOST_IP=127.0.0.1
ENABLE_DEBUG_LOG_LEVEL=False
NOVA_CONF=$HARNESS/nova.conf
RABBIT_USERID=openstack

function define_plugin { :; }
function plugin_requires { :; }
function install_package { echo "package: $*"; }
function setup_develop { echo "develop: $1"; }
function get_python_exec_prefix { echo "$BIN"; }

function sudo {
    case "$1" in
        rabbitmqctl) echo "$*" >>"$HARNESS/rabbitmqctl" ;;
        *) "$@" ;;
    esac
}

function enable_service { ENABLED_SERVICES="${ENABLED_SERVICES:-} $*"; }
function is_service_enabled {
    local one
    for one in "$@"; do
        [[ " $ENABLED_SERVICES " == *" $one "* ]] && return 0
    done
    return 1
}

function iniset {
    "$BIN/python3" - "$@" <<'PY'
import configparser
import sys

path, section, option, value = sys.argv[1:]
parser = configparser.RawConfigParser(strict=False)
parser.optionxform = str
parser.read(path)
if section != 'DEFAULT' and not parser.has_section(section):
    parser.add_section(section)
parser.set(section, option, value)
with open(path, 'w') as file:
    parser.write(file)
PY
}

# Apart from what the services of the integration environment use.
function database_connection_url { echo "$DATABASE_URL/devstack_$1?charset=utf8mb4"; }
function recreate_database {
    echo "DROP DATABASE IF EXISTS devstack_$1; CREATE DATABASE devstack_$1 CHARACTER SET utf8mb4" | $DATABASE_ADMIN
}
function get_transport_url { echo "$BUS_URL/${1:-}"; }

function configure_keystoneauth {
    iniset "$1" "$3" auth_type password
    iniset "$1" "$3" auth_url "$KEYSTONE_URL/v3"
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password "$SERVICE_PASSWORD"
    iniset "$1" "$3" project_name service
    iniset "$1" "$3" user_domain_name Default
    iniset "$1" "$3" project_domain_name Default
}
function configure_keystone_authtoken_middleware {
    configure_keystoneauth "$1" "$2" "${3:-keystone_authtoken}"
    iniset "$1" "${3:-keystone_authtoken}" www_authenticate_uri "$KEYSTONE_URL"
}

function create_service_user {
    openstack user create --or-show --domain default --password "$SERVICE_PASSWORD" "$1" -f value -c id
    openstack role add --project service --user "$1" service
    openstack role add --project service --user "$1" "$2"
}
function get_or_create_service {
    openstack service show "$2" -f value -c id 2>/dev/null \
        || openstack service create --name "$1" --description "$3" "$2" -f value -c id
}
function get_or_create_endpoint {
    local number=0 interface url
    for interface in public admin internal; do
        url=${@:$((3 + number)):1}
        number=$((number + 1))
        [ -n "$url" ] || continue
        openstack endpoint list --service "$1" --interface "$interface" --region "$2" -f value -c ID | grep -q . \
            || openstack endpoint create --region "$2" "$1" "$interface" "$url" -f value -c id
    done
}

function write_uwsgi_config {
    rm -f "$1"
    iniset "$1" uwsgi module "$2"
    # No web server in front here: each application has a port.
    iniset "$1" uwsgi http-socket "${4:-127.0.0.1:$API_PORT}"
    local option
    for option in 'master true' 'die-on-term true' 'enable-threads true' 'lazy-apps true' 'buffer-size 65535'; do
        iniset "$1" uwsgi ${option}
    done
    iniset "$1" uwsgi add-header "Connection: close"
}
function remove_uwsgi_config { rm -f "$1"; }

function run_process {
    is_service_enabled "$1" || return 0
    # shellcheck disable=SC2086
    env ${5:-} setsid $2 >"$HARNESS/$1.log" 2>&1 </dev/null &
    echo $! >"$HARNESS/$1.pid"
}
function stop_process {
    [ -e "$HARNESS/$1.pid" ] || return 0
    local pid
    pid=$(cat "$HARNESS/$1.pid")
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
    done
    rm "$HARNESS/$1.pid"
}
