# SPDX-License-Identifier: Apache-2.0
"""Talking to other OpenStack services as a user of our own: options and sessions of keystoneauth.

A configuration group that holds :func:`options` names a service; nothing is configured while its ``auth_type`` is
not set.
"""

from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import loading
from oslo_config import cfg

from accelpool import errors

#: Options of an adapter that are offered; how a service is spoken to (versions, retries) the code knows better.
_OFFERED = ('service_type', 'service_name', 'valid_interfaces', 'region_name', 'endpoint_override')
#: Seconds: a service that does not answer must not hold a thread for ever, which is keystoneauth's default.
TIMEOUT = 10


def options(service_type: str) -> list[cfg.Opt]:
    """Return the options with which a group names a service: how to authenticate, and where it is."""
    found = loading.get_auth_common_conf_options() + loading.get_session_conf_options() + [
        option for option in loading.get_adapter_conf_options(include_deprecated=False) if option.dest in _OFFERED]
    cfg.set_defaults(found, timeout=TIMEOUT, service_type=service_type, valid_interfaces=['internal', 'public'])
    return found


def plugin_options() -> list[cfg.Opt]:
    """Return what the usual plugins ask for, for the sample configuration: keystoneauth registers them itself."""
    found: dict[str, cfg.Opt] = {}
    for plugin in ('v3password', 'v3applicationcredential'):
        found |= {option.dest: option for option in loading.get_auth_plugin_conf_options(plugin)}
    return [found[name] for name in sorted(found)]


def configured(group: str) -> bool:
    """Whether the group says how to authenticate."""
    return cfg.CONF[group].auth_type is not None or cfg.CONF[group].auth_section is not None


def adapter(group: str, microversion: str | None = None) -> ksa_adapter.Adapter:
    """Return the client of the service that the group names, with a session of its own to keep.

    :param microversion: asked for in every request
    :raises InvalidRequest: the group lacks something, or has something that cannot be
    """
    conf = cfg.CONF
    try:
        session = loading.load_session_from_conf_options(
            conf, group, auth=loading.load_auth_from_conf_options(conf, group))
    except ksa_exceptions.ClientException as error:
        raise errors.InvalidRequest(f'[{group}] {error}', field=group) from error
    chosen = {name: conf[group][name] for name in _OFFERED}
    return ksa_adapter.Adapter(
        session, interface=chosen.pop('valid_interfaces'), default_microversion=microversion, **chosen)
