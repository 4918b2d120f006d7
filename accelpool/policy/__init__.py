# SPDX-License-Identifier: Apache-2.0
"""Who may do what: one file per noun, enforced by the API's controllers."""

import functools
import threading
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


#: Seconds for which neither the policy files are looked for again nor a question is asked again.
AGAIN = 1.0


class _Enforcer(policy.Enforcer):
    """oslo.policy's, which would look for its files at every question, and take longer for that than for the answer."""

    _look = float('-inf')

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._lock = threading.RLock()
        self._answers: dict[Any, bool] = {}

    def load_rules(self, force_reload: bool = False) -> None:
        with self._lock:  # while rules are read there are some that allow nothing yet
            now = time.monotonic()
            if force_reload or now >= self._look:
                self._look, self._answers = now + AGAIN, {}
                super().load_rules(force_reload)

    def allows(self, rule: str, target: Mapping[str, Any], credentials: Mapping[str, Any]) -> bool:
        """Answer, as a moment ago if the same was asked then."""
        question, answers = (rule, _frozen(target), _frozen(credentials)), None
        while answers is not self._answers:  # rules were read meanwhile: what was found may be of half of them
            self.load_rules()
            answers = self._answers
            if question not in answers:
                answers[question] = bool(self.authorize(rule, dict(target), dict(credentials), do_raise=False))
        return answers[question]


def _frozen(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in values.items())


@functools.cache
def get_enforcer() -> _Enforcer:
    """Return the process's enforcer; ``cfg.CONF`` must have been read."""
    enforcer = _Enforcer(cfg.CONF)
    enforcer.register_defaults(list_rules())
    return enforcer


def allows(context: 'api_context.Context', rule: str, target: Mapping[str, Any] | None = None) -> bool:
    """Say whether the caller may do what the rule names, on a target (default: the caller's project)."""
    if target is None:
        target = {'project_id': context.project_id or NO_PROJECT}
    return get_enforcer().allows(rule, target, context.credentials())


def authorize(context: 'api_context.Context', rule: str, target: Mapping[str, Any] | None = None) -> None:
    """Raise Forbidden unless :func:`allows`."""
    if not allows(context, rule, target):
        where = 'with a token of the system' if context.project_id is None else 'in this project'
        raise errors.Forbidden(f'Your roles {where} do not allow {rule}')
