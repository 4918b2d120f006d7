# SPDX-License-Identifier: Apache-2.0
"""Customers, faults, a watch on the accounts, and the comparison at the end."""

import argparse
import contextlib
import json
import random
import re
import sys
import threading
import time
import unittest

from oslo_config import cfg
from sqlalchemy import exc, orm

from accelpool import conf, errors
from accelpool.db import session
from accelpool.rpc import client
from tests.integration import support
from tests.integration.soak.breaker import Breaker
from tests.integration.soak.customer import PROMISED, Customer
from tests.integration.soak.instances import make_profile
from tests.integration.soak.report import Report
from tests.integration.support import accounts, fault, placement
from tests.integration.support.client import Client, release_all
from tests.support import database
from tools.integration import bus, compute, layout, pool

CUSTOMERS = 6
#: Faults between two checks that everything recovers.
ROUND = 5


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.integration.soak', description=__doc__)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--seed', type=int, default=random.randrange(10**6))
    options = parser.parse_args(argv)
    support.up('placement')
    conf.register_all()
    cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
    client.oslo_messaging.TransportURL.parse(cfg.CONF)
    cfg.CONF.set_override('transport_url', layout.bus(bus.VHOST))
    report = Report()
    report.say(f'seed {options.seed}, {options.minutes:g} minutes')
    with accounts.connected():
        _soak(report, options.seed, options.minutes * 60)
    print(json.dumps(report.summary(), indent=2))
    return 1 if report.violations else 0


def _soak(report: Report, seed: int, seconds: float) -> None:
    release_all()
    make_profile()
    compute.NOVA.stop()  # a real one does not know the customers' instances: what they have would be given back
    nova = placement.hypervisors()
    before = database.accounts()
    ended = threading.Event()
    customers: list[Customer] = []
    breaker = Breaker(seed, report, lambda: [identifier for one in customers for identifier in list(one.promises)])
    customers += [Customer(number, seed, report, breaker, nova, ended) for number in range(CUSTOMERS)]
    watch = threading.Thread(target=_watch, args=(report, ended), daemon=True)
    for thread in (*customers, watch):
        thread.start()
    until = time.monotonic() + seconds
    chance = random.Random(seed)
    while time.monotonic() < until:
        for _ in range(ROUND):
            with contextlib.suppress(errors.ServiceUnavailable):  # the bus may be away for messages of this program
                breaker.step()
            time.sleep(chance.uniform(1, 5))
        _recover(report, breaker)
    ended.set()
    for thread in (*customers, watch):
        thread.join()
    _compare(report, customers, before)
    _clear()


def _clear() -> None:
    """Take the hosts out of Placement: a Nova that is started later brings them itself."""
    for scheduler in pool.SCHEDULER.values():  # it would bring its devices back meanwhile
        scheduler.stop()
    placement.sweep()
    for scheduler in pool.SCHEDULER.values():
        scheduler.start()


def _recover(report: Report, breaker: Breaker) -> None:
    """Everything runs again; a new allocation must live its whole life soon."""
    breaker.mend()
    begun = time.monotonic()
    try:
        fault.recovered(unittest.TestCase(), Client('other', 'other'))
    except AssertionError as failure:
        report.violation(str(failure))
    report.recoveries.append(time.monotonic() - begun)
    report.say(f'recovered in {report.recoveries[-1]:.1f} s')


def _watch(report: Report, ended: threading.Event) -> None:
    """At every moment devices are charged for exactly the slices that there are, and never for more than they have."""
    snapshots = session.create_engine(layout.database('accelpool', layout.SERVER), isolation_level='REPEATABLE READ')
    while not ended.wait(1):
        try:
            with orm.Session(snapshots) as snapshot:
                owed, charged = database.owed(snapshot), database.accounts(snapshot)
        except exc.SQLAlchemyError:
            report.count('watch: no database')
            continue
        except Exception as failure:  # a watch that ends unseen says that all is well
            report.violation(f'watch: {failure!r}')
            continue
        report.count('watch: looked')
        if owed != charged:
            report.violation(f'devices are charged {charged} for slices of {owed}')
        if any(compute > 100 for compute, *_ in charged.values()):
            report.violation(f'sold twice: {charged}')


def _compare(report: Report, customers: list[Customer], before: object) -> None:
    """What the service promised is what there is; afterwards there is what there was before."""
    case = unittest.TestCase()
    try:
        for one in customers:
            one.instances.clear('building', 'going', 'gone')
            one.instances.compare()
        accounts.compare(case)
        placement.agree(case)
        user = Client()
        for identifier, promise in [item for one in customers for item in one.promises.items()]:
            answer = user.ask('GET', f'/allocations/{identifier}')
            body = answer.json()
            state = body['state'] if answer.status_code == 200 else None
            report.count(f'end: {promise} -> {state}')
            if state not in PROMISED[promise]:
                report.violation(f'{identifier} was {promise}, and is {state}')
            if state == 'error' and not re.search(r'\bfits?\b', body['reason']):
                report.violation(f'{identifier} failed: {body["reason"]}')
            if state not in {None, 'released'}:
                user.release(identifier)
        for one in customers:
            one.instances.clear('active')
        accounts.compare(case)
        placement.agree(case)
        if (charged := database.accounts()) != before:
            report.violation(f'devices were charged {before}, and are {charged}')
    except AssertionError as failure:
        report.violation(str(failure))


if __name__ == '__main__':
    sys.exit(main())
