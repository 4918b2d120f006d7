# SPDX-License-Identifier: Apache-2.0
import datetime
import json
import unittest
from typing import Any

import requests
from keystoneauth1 import exceptions

from accelpool import errors, types
from accelpool.allocations.states import Event
from accelpool.consumers import nova
from accelpool.db import allocation, arq, models, session
from tests.support import database

SERVER = '00000000-0000-4000-8000-0000000000a1'


class Recorded:
    """Answers as Nova was seen to answer; keeps what it was asked."""

    def __init__(self, status: int, body: Any = None) -> None:
        self.status, self.body = status, body
        self.asked: list[tuple[str, str, Any]] = []

    def request(self, url: str, method: str, **options: Any) -> requests.Response:
        self.asked.append((method, url, options.get('json')))
        answer = requests.Response()
        answer.status_code = self.status
        body = options['json'] if self.body == 'echo' else self.body
        answer._content = json.dumps(body).encode()
        return answer


class Away:
    def request(self, url: str, method: str, **_options: Any) -> requests.Response:
        raise exceptions.ConnectFailure('away')


class Tell(unittest.TestCase):
    STATUSES = {'arq-1': (SERVER, 'completed'), 'arq-2': (SERVER, 'failed')}

    def test_nova_takes_note_of_all(self) -> None:
        server = Recorded(200, 'echo')
        self.assertEqual({'arq-1', 'arq-2'}, nova.Nova(server).tell(self.STATUSES))
        (method, path, body), = server.asked
        self.assertEqual(('POST', '/os-server-external-events'), (method, path))
        self.assertEqual({'name': 'accelerator-request-bound', 'server_uuid': SERVER, 'tag': 'arq-2', 'status': 'failed'},
                         body['events'][1])

    def test_of_some_it_takes_none_before_the_instance_has_a_host(self) -> None:
        answer = {'events': [{'tag': 'arq-1', 'code': 422}, {'tag': 'arq-2', 'code': 200}]}
        self.assertEqual({'arq-2'}, nova.Nova(Recorded(207, answer)).tell(self.STATUSES))

    def test_of_none_it_takes_any(self) -> None:
        for status in (404, 422):
            self.assertEqual(set(), nova.Nova(Recorded(status, {})).tell(self.STATUSES))

    def test_trouble_is_no_refusal(self) -> None:
        for server in (Recorded(500, {}), Recorded(403, {}), Away()):
            with self.assertRaises(errors.ServiceUnavailable):
                nova.Nova(server).tell(self.STATUSES)

    def test_only_a_404_says_that_an_instance_is_gone(self) -> None:
        self.assertTrue(nova.Nova(Recorded(200, {})).exists(SERVER))
        self.assertFalse(nova.Nova(Recorded(404, {})).exists(SERVER))
        for status in (401, 403, 500):
            with self.assertRaises(errors.ServiceUnavailable):
                nova.Nova(Recorded(status, {})).exists(SERVER)


class EventsTest(unittest.TestCase):
    """Bindings that were started, in a database."""

    def setUp(self) -> None:
        database.use(self)

    def move(self, identifier: str, *events: Event) -> None:
        with session.writer() as writer:
            for event in events:
                allocation.transition(writer, identifier, event, detail='so it is')

    def shown(self, identifier: str) -> str:
        with session.reader() as reader:
            return arq.show(reader, identifier, None).shown_state()

    def run_events(self, server: Any, timeout: float = 60) -> None:
        nova.Events(nova.Nova(server), timeout).run()

    def test_what_has_not_ended_is_not_told(self) -> None:
        one, _ = database.add_binding(SERVER)
        server = Recorded(200, 'echo')
        self.run_events(server)
        self.assertEqual(([], 'BindStarted'), (server.asked, self.shown(one)))

    def test_a_carved_slice_is_bound_at_once_and_told_once(self) -> None:
        one, claimed = database.add_binding(SERVER)
        self.move(claimed, Event.CLAIM, Event.BIND, Event.ACTIVATE)
        self.assertEqual('Bound', self.shown(one))
        server = Recorded(200, 'echo')
        self.run_events(server)
        self.run_events(server)
        self.assertEqual(['completed'], [body['events'][0]['status'] for _, _, body in server.asked])
        self.assertEqual('Bound', self.shown(one))

    def test_a_failure_shows_only_when_nova_has_been_told(self) -> None:
        one, claimed = database.add_binding(SERVER)
        self.move(claimed, Event.CLAIM, Event.BIND, Event.FAIL)
        self.run_events(Recorded(404, {}))
        self.assertEqual('BindStarted', self.shown(one))
        with self.assertRaises(errors.ServiceUnavailable):
            self.run_events(Away())
        self.assertEqual('BindStarted', self.shown(one))
        server = Recorded(200, 'echo')
        self.run_events(server)
        self.assertEqual('failed', server.asked[0][2]['events'][0]['status'])
        self.assertEqual('BindFailed', self.shown(one))

    def test_nobody_is_told_for_ever(self) -> None:
        one, claimed = database.add_binding(SERVER)
        self.move(claimed, Event.CLAIM, Event.BIND, Event.FAIL)
        self.run_events(Recorded(404, {}), timeout=-1)
        self.assertEqual('BindFailed', self.shown(one))

    def test_requests_that_were_never_bound_are_forgotten(self) -> None:
        bound, _ = database.add_binding(SERVER)
        with session.writer() as writer:
            arq.create(writer, [(0, types.Request())], profile='x', project_id='p', user_id='u')
            self.assertEqual(0, arq.delete_forgotten(writer, models.utcnow() - datetime.timedelta(hours=1)))
            self.assertEqual(1, arq.delete_forgotten(writer, models.utcnow()))
        self.assertEqual('BindStarted', self.shown(bound))


if __name__ == '__main__':
    unittest.main()
