#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# devstack plugin of accelpool: install, database, identity, Placement, Nova, processes, clean-up.
#
# Every step is a function, so that tools/devstack_harness can call it against real services without a devstack.

_XTRACE_ACCELPOOL=$(set +o | grep xtrace)
set +o xtrace

ACCELPOOL_BIN_DIR=$(get_python_exec_prefix)

# Whether this node runs a controller's part of it.
function is_accelpool_controller {
    is_service_enabled accelpool-api
}

function install_accelpool {
    install_package build-essential libjsmn-dev libseccomp-dev libssl-dev libzstd-dev
    setup_develop "$ACCELPOOL_DIR"
    # The native parts go beside the sources, where the editable installation looks for them.
    make -C "$ACCELPOOL_DIR" native PYTHON="$ACCELPOOL_BIN_DIR/python3"
}

function make_accelpool_directories {
    sudo install -d -o "$STACK_USER" -m 755 "$ACCELPOOL_CONF_DIR"
    sudo install -d -o "$STACK_USER" -m 700 "$ACCELPOOL_STATE_DIR"
}

# accelpool.conf, the same on every node.
function configure_accelpool {
    make_accelpool_directories
    rm -f "$ACCELPOOL_CONF"
    iniset "$ACCELPOOL_CONF" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$ACCELPOOL_CONF" DEFAULT transport_url "$(get_transport_url "$ACCELPOOL_VHOST")"
    iniset "$ACCELPOOL_CONF" api auth_strategy keystone
    iniset "$ACCELPOOL_CONF" database connection "$(database_connection_url accelpool)"
    configure_keystone_authtoken_middleware "$ACCELPOOL_CONF" accelpool
    iniset "$ACCELPOOL_CONF" keystone_authtoken service_token_roles_required True
    iniset "$ACCELPOOL_CONF" keystone_authtoken service_token_roles service
    iniset "$ACCELPOOL_CONF" enrolment url "$ACCELPOOL_URL"
    configure_accelpool_host
    local section
    for section in placement nova; do
        configure_keystoneauth "$ACCELPOOL_CONF" accelpool "$section"
        iniset "$ACCELPOOL_CONF" "$section" valid_interfaces public
        iniset "$ACCELPOOL_CONF" "$section" region_name "$REGION_NAME"
    done
    # Nova's versioned notifications tell at once when an instance is gone.
    iniset "$ACCELPOOL_CONF" nova notification_url "$(get_transport_url)?rabbit_quorum_queue=false"
}

# What is this host's alone.
function configure_accelpool_host {
    iniset "$ACCELPOOL_CONF" conductor host "$HOSTNAME"
    iniset "$ACCELPOOL_CONF" conductor state_dir "$ACCELPOOL_STATE_DIR"
    iniset "$ACCELPOOL_CONF" conductor drivers "$ACCELPOOL_DRIVERS"
    iniset "$ACCELPOOL_CONF" agent control_socket "$ACCELPOOL_STATE_DIR/agent.sock"
    iniset "$ACCELPOOL_CONF" "mock:$HOSTNAME" devices "$ACCELPOOL_MOCK_DEVICES"
}

# Behind devstack's web server: /v1 and /v2 on one address, vendordata on a port that only Nova uses.
function configure_accelpool_uwsgi {
    write_uwsgi_config "$ACCELPOOL_UWSGI_CONF" accelpool.wsgi.api:application /accelerator-pool "" accelpool-api
    iniset "$ACCELPOOL_UWSGI_CONF" uwsgi threads 16
    write_uwsgi_config "$ACCELPOOL_VENDORDATA_UWSGI_CONF" accelpool.wsgi.vendordata:application "" \
        "127.0.0.1:$ACCELPOOL_VENDORDATA_PORT" accelpool-vendordata
}

# Nova asks us for vendordata, and says on the bus what becomes of instances.
function configure_accelpool_nova {
    iniset "$NOVA_CONF" api vendordata_providers StaticJSON,DynamicJSON
    iniset "$NOVA_CONF" api vendordata_dynamic_targets "accelpool@http://127.0.0.1:$ACCELPOOL_VENDORDATA_PORT"
    configure_keystoneauth "$NOVA_CONF" nova vendordata_dynamic_auth
    configure_keystoneauth "$NOVA_CONF" nova cyborg
    iniset "$NOVA_CONF" cyborg service_type accelerator
    iniset "$NOVA_CONF" notifications notification_format versioned
}

function create_accelpool_accounts {
    # admin: inventory in Placement, which its policy leaves to administrators; service comes with every such user.
    create_service_user accelpool admin
    get_or_create_service accelpool accelpool 'Pool of accelerators'
    get_or_create_endpoint accelpool "$REGION_NAME" "$ACCELPOOL_URL/v1" "$ACCELPOOL_URL/v1" "$ACCELPOOL_URL/v1"
    # Nova finds us by this type.
    get_or_create_service accelerator accelerator 'Accelerators of instances'
    get_or_create_endpoint accelerator "$REGION_NAME" "$ACCELPOOL_URL/v2" "$ACCELPOOL_URL/v2" "$ACCELPOOL_URL/v2"
}

function init_accelpool {
    recreate_database accelpool
    "$ACCELPOOL_BIN_DIR/accelpool-manage" --config-file "$ACCELPOOL_CONF" db sync
    create_accelpool_vhost
}

function create_accelpool_vhost {
    sudo rabbitmqctl list_vhosts | grep -q "^$ACCELPOOL_VHOST$" || sudo rabbitmqctl add_vhost "$ACCELPOOL_VHOST"
    sudo rabbitmqctl set_permissions -p "$ACCELPOOL_VHOST" "$RABBIT_USERID" '.*' '.*' '.*'
}

# Policies and options, as samples beside the configuration.
function generate_accelpool_samples {
    "$ACCELPOOL_BIN_DIR/oslo-config-generator" --namespace accelpool --output-file "$ACCELPOOL_CONF.sample"
    "$ACCELPOOL_BIN_DIR/oslopolicy-sample-generator" --namespace accelpool \
        --output-file "$ACCELPOOL_CONF_DIR/policy.yaml.sample"
}

function start_accelpool_host {
    # No session can make /dev/nvidia-uvm: what does that for other programs is setuid root.
    if command -v nvidia-modprobe > /dev/null; then
        sudo nvidia-modprobe -c 0 -u
    fi
    # As root: sessions get user ids of their own.
    run_process accelpool-agent "$ACCELPOOL_BIN_DIR/accelpool-agent --host $HOSTNAME \
        --state-dir $ACCELPOOL_STATE_DIR --listen tcp://$HOST_IP:$ACCELPOOL_AGENT_PORT" "" root
    run_process accelpool-cond "$ACCELPOOL_BIN_DIR/accelpool-conductor --config-file $ACCELPOOL_CONF" "" root
}

function start_accelpool {
    local environment="OS_ACCELPOOL_CONFIG_DIR=$ACCELPOOL_CONF_DIR"
    run_process accelpool-api "$ACCELPOOL_BIN_DIR/uwsgi --procname-prefix accelpool-api --ini $ACCELPOOL_UWSGI_CONF" \
        "" "" "$environment"
    run_process accelpool-vendordata \
        "$ACCELPOOL_BIN_DIR/uwsgi --procname-prefix accelpool-vendordata --ini $ACCELPOOL_VENDORDATA_UWSGI_CONF" \
        "" "" "$environment"
    run_process accelpool-sch "$ACCELPOOL_BIN_DIR/accelpool-scheduler --config-file $ACCELPOOL_CONF"
}

# The scheduler registers the pool in Placement by itself; nothing can be booted before it has.
function wait_for_accelpool_in_placement {
    local trait=CUSTOM_OWNER_ACCELPOOL left
    for left in $(seq 60 -1 0); do
        if openstack --os-placement-api-version 1.18 resource provider list --required "$trait" -f value -c uuid \
            | grep -q .; then
            return 0
        fi
        [ "$left" -gt 0 ] && sleep 1
    done
    echo "accelpool: no resource provider with $trait in Placement" >&2
    return 1
}

function stop_accelpool {
    local service
    for service in accelpool-api accelpool-vendordata accelpool-sch accelpool-cond accelpool-agent; do
        stop_process "$service"
    done
}

function cleanup_accelpool {
    remove_uwsgi_config "$ACCELPOOL_UWSGI_CONF" accelpool-api
    remove_uwsgi_config "$ACCELPOOL_VENDORDATA_UWSGI_CONF" accelpool-vendordata
    sudo rabbitmqctl delete_vhost "$ACCELPOOL_VHOST" || true
    sudo rm -rf "$ACCELPOOL_CONF_DIR" "$ACCELPOOL_STATE_DIR"
}

function accelpool_phase {
    case "$1 $2" in
        'stack install')
            install_accelpool
            ;;
        'stack post-config')
            configure_accelpool
            if is_accelpool_controller; then
                create_accelpool_accounts
                init_accelpool
                generate_accelpool_samples
                configure_accelpool_uwsgi
                configure_accelpool_nova
            fi
            ;;
        'stack extra')
            start_accelpool_host
            if is_accelpool_controller; then
                start_accelpool
                wait_for_accelpool_in_placement
            fi
            ;;
        'unstack ')
            stop_accelpool
            ;;
        'clean ')
            cleanup_accelpool
            ;;
    esac
}

if is_service_enabled accelpool-api accelpool-cond; then
    accelpool_phase "$1" "${2:-}"
fi

$_XTRACE_ACCELPOOL
