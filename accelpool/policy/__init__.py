# SPDX-License-Identifier: Apache-2.0
"""Who may do what: one file per noun, enforced by the API's controllers."""

import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oslo_config import cfg
from oslo_policy import policy

from accelpool import errors
from accelpool.policy import (
    allocation,
    arq,
    base,
    candidate,
    device,
    driver,
    host,
    inventory,
    pool,
    profile,
    quota,
    service,
)

if TYPE_CHECKING:
    from accelpool.api import context as api_context

#: Whose project is asked for when the caller's token has none: nobody's.
NO_PROJECT = ''

_MODULES = (base, allocation, arq, candidate, device, driver, host, inventory, pool, profile, quota, service)


def list_rules() -> list[policy.RuleDefault]:
    """Return every rule (entry point of oslo.policy's generators)."""
    return [rule for module in _MODULES for rule in module.RULES]


#: Seconds for which the policy files are not looked for again: that costs more than all the rules of a request.
AGAIN = 1.0


class _Enforcer(policy.Enforcer):
    """oslo.policy's, which would look for its files at every question."""

    _look = float('-inf')

    def load_rules(self, force_reload: bool = False) -> None:
        now = time.monotonic()
        if force_reload or now >= self._look:
            self._look = now + AGAIN
            super().load_rules(force_reload)


@functools.cache
def get_enforcer() -> policy.Enforcer:
    """Return the process's enforcer; ``cfg.CONF`` must have been read."""
    enforcer = _Enforcer(cfg.CONF)
    enforcer.register_defaults(list_rules())
    return enforcer


def allows(context: 'api_context.Context', rule: str, target: Mapping[str, Any] | None = None) -> bool:
    """Say whether the caller may do what the rule names, on a target (default: the caller's project)."""
    if target is None:
        target = {'project_id': context.project_id or NO_PROJECT}
    return bool(get_enforcer().authorize(rule, dict(target), context.credentials(), do_raise=False))


def authorize(context: 'api_context.Context', rule: str, target: Mapping[str, Any] | None = None) -> None:
    """Raise Forbidden unless :func:`allows`."""
    if not allows(context, rule, target):
        where = 'with a token of the system' if context.project_id is None else 'in this project'
        raise errors.Forbidden(f'Your roles {where} do not allow {rule}')
