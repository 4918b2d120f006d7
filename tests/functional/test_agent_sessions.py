# SPDX-License-Identifier: Apache-2.0
"""Sessions on a real agent: what a worker may do, what it may have, and what is left when it dies."""

import os
import pathlib
import signal
import stat
import unittest

from accelpool.remoting.agent import packets
from tests.support import kernel, processes
from tests.support.agent import Agent, Control, ControlError, Refused, admit, wait_for

MIB = 1 << 20


class Start(unittest.TestCase):
    def test_a_worker_that_is_never_ready_does_not_stay(self) -> None:
        agent = Agent(self, arguments=['--start-timeout', '0.5'])
        agent.bind(NEVER_READY='1')
        with self.assertRaises((EOFError, ConnectionResetError)):
            admit(agent.url, agent.credential())
        wait_for(lambda: agent.slice()['sessions'] == 0, 'its end')
        self.assertIn('was not ready within 0.5 s', agent.log())
        agent.bind('slice-2')
        self.assertEqual('slice-2', agent.session('slice-2').facts()['slice'])


    def test_where_a_node_is_missing_the_refusal_says_which_and_what_to_do(self) -> None:
        agent = Agent(self)
        there, missing = agent.place / 'there', agent.place / 'missing'
        there.touch()
        missing.touch()
        nodes = [str(there), str(missing), str(there), str(missing)]
        agent.bind(nodes=nodes, remedy='run this')
        credential = agent.credential()
        missing.unlink()
        message = f'the device lacks {missing}: run this$'
        with self.assertRaisesRegex(Refused, message):
            admit(agent.url, credential)
        with self.assertRaisesRegex(ControlError, message):
            agent.credential()
        missing.touch()
        self.assertEqual('slice-1', agent.session().facts()['slice'])
        missing.unlink()
        agent.bind(nodes=nodes)
        self.assertEqual('slice-1', agent.session().facts()['slice'], 'its driver misses none')


class Confinement(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind()
        self.session = self.agent.session()

    def test_a_session_has_what_it_needs(self) -> None:
        facts = self.session.facts()
        self.assertEqual((facts['slice'], facts['memory_limit'], facts['compute']), ('slice-1', 512 * MIB, 30))
        self.assertEqual(self.session.order('env GREETING'), 'hello world')
        self.assertTrue(self.session.order('library').endswith(' ok'))
        for name in ('thread', 'read-file', 'exec-map', 'limit', 'affinity'):
            self.assertEqual(self.session.order(f'call {name}'), 'ok', name)

    def test_a_session_cannot_do_what_it_need_not(self) -> None:
        for name in ('socket', 'execve', 'fork', 'ptrace', 'process_vm_readv', 'kill', 'tgkill-parent', 'create', 'node', 'bpf',
                     'mount', 'unshare', 'setuid', 'prctl-dumpable', 'setown'):
            self.assertEqual(self.session.order(f'call {name}'), 'EPERM', name)
        for kind in 'FMUZHVWNGT':
            self.assertEqual(self.session.order(f'call ioctl-{kind}'), 'EPERM', kind)
        self.assertEqual(self.session.order('env SECRET_OF_THE_AGENT'), '(none)')

    def test_a_vendors_library_opens_its_nodes_and_makes_no_file(self) -> None:
        self.agent.bind('slice-2', DEVICE_NODES='1')
        session = self.agent.session('slice-2')
        self.assertEqual(session.order('call node'), 'ok')
        for name in ('create', 'socket', 'execve', 'ioctl-T', 'ioctl-p'):  # of terminals, of something else
            self.assertEqual(session.order(f'call {name}'), 'EPERM', name)
        for kind in 'FMUZHVWNG':  # it gets as far as the node, which a socket is not
            self.assertEqual(session.order(f'call ioctl-{kind}'), 'ENOTTY', kind)

    def test_the_kernel_says_so_too(self) -> None:
        status = dict(line.split(':\t', 1) for line in
                      pathlib.Path(f'/proc/{self.session.facts()["pid"]}/status').read_text().splitlines())
        self.assertEqual((status['NoNewPrivs'], status['Seccomp']), ('1', '2'))
        for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
            if kind != 'CapBnd' or os.geteuid() == 0:
                self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual(self.session.facts()['dumpable'], 0)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_the_kernel_logs_what_it_denies_but_not_what_the_c_library_tries(self) -> None:
        self.assertEqual('ENOSYS', self.session.order('call clone3'))
        try:
            logging = kernel.logging_filters(self.session.facts()['pid'])
        except OSError as failure:
            self.skipTest(f'the kernel does not tell what its filters log: {failure}')
        self.assertEqual([False, True], logging)

    def test_descriptors_of_the_agent_do_not_leak(self) -> None:
        pid = self.session.facts()['pid']
        found = {int(name) for name in os.listdir(f'/proc/{pid}/fd')}
        self.assertEqual(found, {0, 1, 2, 3, 4})

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_every_session_has_a_uid_of_its_own(self) -> None:
        self.assertTrue(self.agent.about['capabilities']['uid_per_session'])
        other_agent = Agent(self)
        other_agent.bind()
        facts = [s.facts() for s in (self.session, self.agent.session(), other_agent.session())]
        uids = {f['uid'] for f in facts}
        self.assertEqual(len(uids), 3)
        self.assertNotIn(0, uids)
        for one in facts:
            self.assertIn('\nGroups:\t \n', pathlib.Path(f'/proc/{one["pid"]}/status').read_text())
        self.assertEqual({f['gid'] for f in facts}, uids)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_a_library_where_the_uid_cannot_go_is_opened_before(self) -> None:
        hidden = self.agent.place / 'hidden'
        hidden.mkdir(mode=0o700)
        (hidden / 'library').touch(0o644)
        self.agent.bind('slice-2', library=str(hidden / 'library'))
        self.assertEqual(self.agent.session('slice-2').order('library'), '/proc/self/fd/5 ok')

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_without_root_the_rest_holds(self) -> None:
        nobody = 65534
        agent = Agent(self, user=nobody)
        self.assertEqual((agent.about['capabilities']['root'], agent.about['capabilities']['uid_per_session']),
                         (False, False))
        agent.bind()
        session = agent.session()
        facts = session.facts()
        self.assertEqual((facts['uid'], facts['no_new_privs'], facts['dumpable'], facts['seccomp']), (nobody, 1, 0, 2))
        for name in ('kill', 'tgkill-parent', 'process_vm_readv', 'ptrace', 'setown'):
            self.assertEqual(session.order(f'call {name}'), 'EPERM', name)

    def test_a_library_that_is_not_there_ends_the_session(self) -> None:
        self.agent.bind('slice-2', library='/nowhere/libcuda.so')
        with self.assertRaises((EOFError, ConnectionResetError)):
            self.agent.session('slice-2')
        wait_for(lambda: self.agent.slice('slice-2')['sessions'] == 0, 'the session')


class Memory(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind(memory=100)

    def test_the_slice_is_the_limit_and_not_the_session(self) -> None:
        one, two = self.agent.session(), self.agent.session()
        self.assertEqual(one.ask(packets.RESERVE, 1, 60 * MIB), (packets.RESERVE, 1, 60 * MIB, 0))
        self.assertEqual(two.ask(packets.MEMINFO, 2), (packets.MEMINFO, 2, 40 * MIB, 100 * MIB))
        self.assertEqual(two.ask(packets.RESERVE, 3, 30 * MIB, 90 * MIB), (packets.RESERVE, 3, 40 * MIB, 0))
        self.assertEqual(self.agent.slice()['charged_bytes'], 100 * MIB)
        one.packet(packets.RELEASE, a=60 * MIB)
        self.assertEqual(two.ask(packets.MEMINFO, 4)[2], 60 * MIB)

    def test_unused_memory_of_another_session_is_asked_for(self) -> None:
        one, two = self.agent.session(), self.agent.session()
        one.ask(packets.RESERVE, 1, 10 * MIB, 80 * MIB)
        two.packet(packets.RESERVE, 2, 50 * MIB)
        self.assertEqual(one.said()[0], packets.RECALL)
        one.packet(packets.RELEASE, a=80 * MIB)
        self.assertEqual(two.said(), (packets.RESERVE, 2, 50 * MIB, 0))

    def test_one_that_does_not_give_back_in_time_means_out_of_memory(self) -> None:
        one, two = self.agent.session(), self.agent.session()
        one.ask(packets.RESERVE, 1, 90 * MIB)
        self.assertEqual(two.ask(packets.RESERVE, 2, 50 * MIB), (packets.RESERVE, 2, 0, 0))

    def test_contexts_of_further_sessions_are_the_slices_own_affair(self) -> None:
        self.agent.bind('small', memory=100, overhead=40)
        one, two = self.agent.session('small'), self.agent.session('small')
        self.assertEqual((packets.MEMINFO, 1, 60 * MIB, 100 * MIB), one.ask(packets.MEMINFO, 1))
        self.assertEqual(60 * MIB, two.ask(packets.RESERVE, 2, 60 * MIB)[2])
        with self.assertRaises(Refused) as caught:
            self.agent.session('small')
        self.assertIn('takes 40 MiB of the slice, and 0 MiB of it are free', str(caught.exception))
        one.close()
        wait_for(lambda: self.agent.slice('small')['sessions'] == 1, 'the end of the session')
        self.assertEqual(60 * MIB, self.agent.slice('small')['charged_bytes'])
        self.agent.session('small')
        self.assertEqual(100 * MIB, self.agent.slice('small')['charged_bytes'])

    def test_killed_means_everything_is_back(self) -> None:
        session, other = self.agent.session(), self.agent.session()
        session.ask(packets.RESERVE, 1, 90 * MIB)
        self.assertEqual(session.ask(packets.TOUCH, 2, 3 * MIB, MIB), (packets.TOUCH, 2, 4 * MIB, 0))
        self.assertEqual(other.ask(packets.TOUCH, 1, 2 * MIB), (packets.TOUCH, 1, 2 * MIB, 0))
        other.packet(packets.UNTOUCH, a=MIB)
        self.assertEqual(other.ask(packets.TOUCH, 2, 64 * MIB), (packets.TOUCH, 2, 0, 0))  # more than the host may
        self.assertEqual(self.agent.control.ask('usage')['touched_bytes'], 5 * MIB)
        os.kill(session.facts()['pid'], signal.SIGKILL)
        self.assertEqual(session.hear(), '')
        wait_for(lambda: self.agent.slice()['sessions'] == 1, 'the end of the session')
        self.assertEqual(self.agent.slice()['charged_bytes'], 0)
        self.assertEqual(self.agent.control.ask('usage')['touched_bytes'], MIB)

    def test_a_program_that_ends_gives_back_too(self) -> None:
        session = self.agent.session()
        session.ask(packets.RESERVE, 1, 90 * MIB)
        session.close()
        wait_for(lambda: self.agent.slice()['sessions'] == 0, 'the end of the session')
        self.assertEqual(self.agent.slice()['charged_bytes'], 0)

    def test_a_worker_that_breaks_the_rules_is_ended_and_nobody_else(self) -> None:
        witness = self.agent.session()
        for bad in ((packets.RELEASE, 0, 1), (packets.RESERVE, 1, 0), (packets.UNTOUCH, 0, 1), (99, 0, 0), (packets.TRANSLATE, 1, 5)):
            with self.subTest(bad):
                session = self.agent.session()
                session.send('packet {} {} {} 0 0'.format(*bad))
                heard = session.hear()  # 'sent', unless its end was faster
                self.assertEqual('', session.hear() if heard == 'sent' else heard)
        self.assertEqual(witness.ask(packets.MEMINFO, 1)[2], 100 * MIB)


class Compute(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind('slice-1', compute=30)
        self.agent.bind('slice-2', compute=70)

    def test_the_grant_goes_from_one_to_the_other_and_back(self) -> None:
        one, two = self.agent.session('slice-1'), self.agent.session('slice-2')
        self.assertEqual(one.ask(packets.WANT)[0], packets.GRANT)
        two.packet(packets.WANT)
        self.assertEqual([one.said()[0], one.said()[0]], [packets.GRANT, packets.REVOKE])
        one.packet(packets.YIELD, a=1_000_000, b=1)
        self.assertEqual([two.said()[0], two.said()[0]], [packets.GRANT, packets.REVOKE])
        two.ask(packets.RESERVE, 1, 200)
        two.packet(packets.USAGE, a=7_000_000, b=123, c=5)
        wait_for(lambda: self.agent.slice('slice-2')['launches'], 'usage')
        found = self.agent.slice('slice-2')
        self.assertEqual((found['launches'], found['allocated_bytes']), (5, 123))
        # Not less than was reported; a little more where holding the device took much longer than that.
        self.assertGreaterEqual(found['device_ns'], 7_000_000)
        before = self.agent.slice('slice-1')['device_ns']
        self.assertGreaterEqual(before, 1_000_000)
        self.assertEqual(self.agent.control.ask('usage')['devices'],
                         [{'device_id': 'device-1', 'busy_ns': before + found['device_ns'], 'grants': 2}])
        two.packet(packets.USAGE, a=1 << 60, b=1 << 60, c=1)  # who lies is not believed
        wait_for(lambda: self.agent.slice('slice-2')['launches'] == 6, 'usage')
        found = self.agent.slice('slice-2')
        self.assertLess(found['device_ns'], 60_000_000_000)
        self.assertEqual(200, found['allocated_bytes'])

    def test_a_dead_holder_frees_the_grant(self) -> None:
        one, two = self.agent.session('slice-1'), self.agent.session('slice-2')
        pid = one.facts()['pid']
        one.ask(packets.WANT)
        two.packet(packets.WANT)
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(two.said()[0], packets.GRANT)

    def test_devices_do_not_wait_for_one_another(self) -> None:
        self.agent.bind('slice-3', device='device-2')
        for name in ('slice-1', 'slice-3'):
            self.assertEqual(self.agent.session(name).ask(packets.WANT)[0], packets.GRANT)

    def test_the_last_report_counts(self) -> None:
        session = self.agent.session()
        session.send('packet 6 0 5000 0 9\nexit 0')
        while session.hear():
            pass
        wait_for(lambda: self.agent.slice()['sessions'] == 0, 'the end of the session')
        self.assertEqual((self.agent.slice()['device_ns'], self.agent.slice()['launches']), (5000, 9))


class Ends(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind()

    def test_unbind_ends_sessions_and_revokes(self) -> None:
        session, stubborn = self.agent.session(), self.agent.session()
        pid = stubborn.facts()['pid']
        stubborn.send('spin')
        credential = self.agent.credential()
        self.assertEqual(self.agent.control.ask('unbind', slice_id='slice-1'), {'sessions_ended': 2})
        self.assertFalse(processes.alive(pid))
        self.assertEqual(session.said()[0], packets.END)
        self.assertEqual(session.hear(), '')
        with self.assertRaises(Refused) as caught:
            admit(self.agent.url, credential)
        self.assertEqual(caught.exception.code, 3)
        with self.assertRaises(ControlError) as failed:
            self.agent.control.ask('unbind', slice_id='slice-1')
        self.assertEqual(failed.exception.code, 'not-found')
        self.assertEqual(self.agent.control.ask('slices'), [])

    def test_who_unbinds_second_waits_as_long(self) -> None:
        stubborn = self.agent.session()
        pid = stubborn.facts()['pid']
        stubborn.send('spin')
        second = self.agent.connect()
        for control in (self.agent.control, second):
            control.socket.sendall(b'{"v":1,"id":1,"method":"unbind","params":{"slice_id":"slice-1"}}\n')
        self.assertEqual(second.line()['result'], {'sessions_ended': 1})
        self.assertFalse(processes.alive(pid))
        self.assertEqual(self.agent.control.line()['result'], {'sessions_ended': 1})

    def test_a_slice_that_is_being_unbound_takes_nobody(self) -> None:
        stubborn = self.agent.session()
        credential = self.agent.credential()
        stubborn.send('spin')
        other = self.agent.connect()
        other.socket.sendall(b'{"v":1,"id":1,"method":"unbind","params":{"slice_id":"slice-1"}}\n')
        wait_for(lambda: self.refused(credential), 'a refusal')
        self.assertGreaterEqual(other.line()['result']['sessions_ended'], 1)
        self.assertEqual(self.agent.control.ask('slices'), [])

    def refused(self, credential: str) -> bool:
        try:
            admit(self.agent.url, credential).close()
        except (Refused, EOFError, ConnectionResetError):
            return True
        return False

    def test_a_higher_generation_ends_what_was_before(self) -> None:
        session, old = self.agent.session(), self.agent.credential()
        self.agent.bind(generation=2)
        self.assertEqual(session.said()[0], packets.END)
        with self.assertRaises(Refused):
            admit(self.agent.url, old)
        admit(self.agent.url, self.agent.credential(generation=2)).close()
        with self.assertRaises(ControlError) as failed:
            self.agent.bind(generation=1)
        self.assertEqual(failed.exception.code, 'conflict')

    def test_bind_again_changes_nothing_but_the_size(self) -> None:
        session = self.agent.session()
        self.agent.bind(memory=1024)
        self.assertEqual(session.ask(packets.MEMINFO, 1)[3], 1024 * MIB)

    def test_the_agent_takes_its_workers_along(self) -> None:
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(number):
                agent = Agent(self)
                agent.bind()
                pids = [agent.session().facts()['pid'] for _ in range(3)]
                agent.process.send_signal(number)
                agent.process.wait(30)
                wait_for(lambda pids=pids: not any(map(processes.alive, pids)), 'the end of the workers')

    def test_a_restarted_agent_takes_new_sessions_with_old_credentials(self) -> None:
        old = self.agent.credential()
        self.agent.process.kill()
        self.agent.process.wait(30)
        again = Agent(self, place=self.agent.place)
        again.bind()
        admit(again.url, old).close()

    def test_a_dead_fork_server_ends_the_agent_so_that_it_is_started_again(self) -> None:
        children = pathlib.Path(f'/proc/{self.agent.process.pid}/task/{self.agent.process.pid}/children').read_text()
        os.kill(int(children.split()[0]), signal.SIGKILL)
        self.agent.process.wait(30)

    def test_two_agents_do_not_share_a_directory(self) -> None:
        with self.assertRaisesRegex(AssertionError, 'another agent uses'):
            Agent(self, place=self.agent.place)
        self.agent.connect().ask('hello')


class ControlSocket(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)

    def test_nobody_else_can_give_orders(self) -> None:
        mode = os.stat(self.agent.place / 'agent.sock').st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.agent.place / 'data.sock').st_mode), 0o666)

    def test_nonsense_gets_an_error_and_the_connection_lives(self) -> None:
        control = self.agent.control
        for line in (b'', b'{}', b'[]', b'null', b'{"v":1,"id":1}', b'\xff\xfe', b'{"v":2,"id":1,"method":"hello"}',
                     b'{"v":1,"id":1,"method":"bind","params":{}}', b'{"v":1,"id":1,"method":"bind","params":[]}',
                     b'{"v":1,"id":1,"method":"hello","params":{"what":1}}', b'[' * 100_000,
                     b'{"v":1,"id":1,"method":"bind","params":{"slice":{"id":"a"},"project":"p","device":{}}}'):
            with self.subTest(line[:60]):
                control.socket.sendall(line + b'\n')
                self.assertIn('error', control.line())
        self.assertEqual(control.ask('hello')['host'], 'test')

    def test_a_line_without_end_is_cut_off(self) -> None:
        control = self.agent.connect()
        try:
            for _ in range(40):
                control.socket.sendall(b'x' * (1 << 16))
            self.assertEqual(control.lines.readline(), b'')
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.agent.control.ask('hello')

    def test_a_slice_that_cannot_be_is_refused(self) -> None:
        for wrong in ({'compute': 0}, {'compute': 101}, {'memory': 0}, {'library': ''}, {'library': 'a\0b'}):
            with self.subTest(wrong), self.assertRaises(ControlError) as failed:
                self.agent.bind(**wrong)  # type: ignore[arg-type]
            self.assertEqual(failed.exception.code, 'invalid-request')
        self.assertEqual(self.agent.control.ask('slices'), [])

    def test_events_of_sessions_and_a_watcher_that_does_not_read(self) -> None:
        deaf, watcher = self.agent.connect(), self.agent.connect()
        deaf.ask('watch')
        self.assertEqual(watcher.ask('watch'), {'holders': []})
        self.agent.bind()
        session = self.agent.session()
        self.assert_event(watcher, 'session-open')
        session.close()
        self.assert_event(watcher, 'session-end')

    def assert_event(self, watcher: Control, name: str) -> None:
        self.assertEqual(watcher.line(), {
            'v': 1, 'event': name, 'allocation_id': 'of-slice-1', 'slice_id': 'slice-1'})

    def test_the_agent_says_what_protects_its_sessions(self) -> None:
        capabilities = self.agent.about['capabilities']
        self.assertEqual(capabilities['root'], os.geteuid() == 0)
        for name in ('no_new_privs', 'non_dumpable', 'seccomp'):
            self.assertIs(capabilities[name], True)
