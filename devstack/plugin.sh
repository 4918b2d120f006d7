#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# devstack plugin of accelpool: install, database, identity, processes, clean-up.

function install_accelpool {
    install_package build-essential libseccomp-dev
    setup_develop "$ACCELPOOL_DIR"
}

function configure_accelpool {
    sudo install -d -o "$STACK_USER" -m 755 "$ACCELPOOL_CONF_DIR"
    sudo install -d -o "$STACK_USER" -m 700 "$ACCELPOOL_STATE_DIR"
    rm -f "$ACCELPOOL_CONF"
    iniset "$ACCELPOOL_CONF" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$ACCELPOOL_CONF" api auth_strategy keystone
    iniset "$ACCELPOOL_CONF" database connection "$(database_connection_url accelpool)"
    iniset "$ACCELPOOL_CONF" oslo_messaging_rabbit rabbit_quorum_queue True
    # A virtual host of our own: quorum queues cannot share one with classic queues of other services.
    iniset "$ACCELPOOL_CONF" DEFAULT transport_url "$(get_transport_url "$ACCELPOOL_VHOST")"
    configure_keystone_authtoken_middleware "$ACCELPOOL_CONF" accelpool
}

function create_accelpool_accounts {
    create_service_user accelpool admin
    get_or_create_service accelpool accelpool 'Accelerator pooling'
    get_or_create_endpoint accelpool "$REGION_NAME" "$SERVICE_PROTOCOL://$SERVICE_HOST/accelpool"
}

function init_accelpool {
    recreate_database accelpool
    "$ACCELPOOL_BIN_DIR/accelpool-manage" --config-file "$ACCELPOOL_CONF" db sync
    rabbit_setuser "$RABBIT_USERID" "$RABBIT_PASSWORD" "$ACCELPOOL_VHOST"
}

function start_accelpool {
    local with_config="--config-file $ACCELPOOL_CONF"
    run_process accelpool-api "$ACCELPOOL_BIN_DIR/accelpool-api $with_config"
    run_process accelpool-sch "$ACCELPOOL_BIN_DIR/accelpool-scheduler $with_config"
    run_process accelpool-agent "$ACCELPOOL_BIN_DIR/accelpool-agent --host $HOSTNAME --state-dir $ACCELPOOL_STATE_DIR"
    run_process accelpool-cond "$ACCELPOOL_BIN_DIR/accelpool-conductor $with_config"
}

function stop_accelpool {
    local service
    for service in accelpool-api accelpool-sch accelpool-cond accelpool-agent; do
        stop_process "$service"
    done
}

function cleanup_accelpool {
    sudo rm -rf "$ACCELPOOL_CONF_DIR" "$ACCELPOOL_STATE_DIR"
}

ACCELPOOL_BIN_DIR=$(get_python_exec_prefix)

if is_service_enabled accelpool-api; then
    case "$1 $2" in
        'stack install') install_accelpool ;;
        'stack post-config')
            configure_accelpool
            create_accelpool_accounts
            init_accelpool
            ;;
        'stack extra') start_accelpool ;;
        'unstack ') stop_accelpool ;;
        'clean ') cleanup_accelpool ;;
    esac
fi
