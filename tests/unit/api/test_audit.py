# SPDX-License-Identifier: Apache-2.0
"""The form of audit events is the one that pycadf gives them."""

import unittest

from oslo_config import cfg, fixture
from pycadf import cadftaxonomy, host, reason, resource
from pycadf import event as cadf

from accelpool import conf
from accelpool.api import audit, context

#: What differs from one event to the next.
OWN = ('id', 'eventTime')


class Form(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        self.enterContext(fixture.Config(cfg.CONF)).config(name='controller', group='api')

    def expected(self, who: context.Context | None) -> dict[str, object]:
        initiator = resource.Resource(
            id=who.user_id if who else 'unknown', typeURI=cadftaxonomy.ACCOUNT_USER,
            name=who.user_name if who else None, domain=who.user_domain_id if who else None,
            host=host.Host(address='192.0.2.7', agent='a client'))
        if who:
            initiator.project_id = who.project_id
        initiator.request_id = 'req-1'
        event = cadf.Event(
            eventType='activity', action='create', initiator=initiator, outcome=cadftaxonomy.OUTCOME_SUCCESS,
            reason=reason.Reason(reasonType='HTTP', reasonCode='201'),
            target=resource.Resource(id='made', typeURI='service/accelerator/v1/pools'),
            observer=resource.Resource(id='controller', typeURI='service/accelerator', name='accelpool-api'))
        self.assertTrue(event.is_valid())
        return plain(event.as_dict())

    def test_it_is_pycadfs(self) -> None:
        known = context.Context(user_id='u', user_name='name', user_domain_id='default', project_id='p')
        for who in (known, None):
            with self.subTest(who):
                environ = {'PATH_INFO': '/v1/pools', 'REMOTE_ADDR': '192.0.2.7', 'HTTP_USER_AGENT': 'a client',
                           audit.request_id.ENV_REQUEST_ID: 'req-1'} | ({context.ENVIRON: who} if who else {})
                event = audit.event(environ, 'create', 201, 'made')
                expected = self.expected(who)
                self.assertEqual('/v1/pools', event.pop('requestPath'))
                for name in OWN:
                    self.assertEqual(len(str(expected.pop(name))), len(event.pop(name)), name)
                self.assertEqual(expected, event)


def plain(value: object) -> dict[str, object]:
    """pycadf leaves objects inside of what it calls a dict."""
    found = value if isinstance(value, dict) else value.as_dict()
    return {name: plain(one) if hasattr(one, 'as_dict') or isinstance(one, dict) else one
            for name, one in found.items()}
