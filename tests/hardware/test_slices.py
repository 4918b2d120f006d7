# SPDX-License-Identifier: Apache-2.0
"""Programs on slices against the same programs natively, in the same run; figures are judged on real hardware only."""

import importlib.util
import subprocess
import sys

from accelpool.drivers.nvidia.channel import Channel
from tests.hardware import overhead, support, verdicts

OUT_OF_MEMORY = 2
ILLEGAL_ADDRESS = 700

#: On a real device: a matrix product of 10 ms and more, arrays of 768 MiB, more than any cache holds, and MiB of one
#: allocation; on an emulated one the program's own small sizes (0).
SIZES = {'gemm': 4096, 'triad': 1 << 26, 'memory': 8192}


class SlicesCase(support.HardwareCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.seconds = 5 if cls.real else 0.2
        cls.memory = 1024 if cls.real else 128
        if not support.missing():
            cls.pool = support.Pool()
            cls.addClassCleanup(cls.pool.close)


    def size(self, name: str) -> int:
        return SIZES.get(name, 0) if self.real else 0


class Slices(SlicesCase):
    def test_kernels_native_unix_tcp(self) -> None:
        for image in support.kernels():
            for name in verdicts.KERNELS:
                with self.subTest(image=image.name, kernel=name):
                    words = name, self.seconds, self.size(name)
                    found = {'native': support.native(*words, image=image), 'unix': self.pool.run(*words, image=image),
                             'tcp': self.pool.run(*words, image=image, tcp=True)}
                    self.assertEqual({True}, {one.get('right') for one in found.values()}, found)
                    rate = {way: one['work'] / one['seconds'] for way, one in found.items()}
                    support.note(f'{name} {image.suffix[1:]}', **rate)
                    support.judge(*(verdicts.kernel(name, f'{way} {image.suffix[1:]}', rate[way], rate['native'])
                                    for way in ('unix', 'tcp')))

    def test_copies(self) -> None:
        size = (256 if self.real else 16) << 20
        found = {'native': support.native('copy', size), 'unix': self.pool.run('copy', size),
                 'tcp': self.pool.run('copy', size, tcp=True)}
        self.assertEqual({True}, {one.get('right') for one in found.values()}, found)
        bare = {'unix': support.transport_rate(False), 'tcp': support.transport_rate(True)}
        support.note('copies', **found, transport_gbs=bare)
        support.judge(*(verdicts.copies(f'{way} {direction}', found[way][direction], found['native'][direction], bare[way])
                        for way in bare for direction in ('in_gbs', 'out_gbs')))

    def test_kernels_print(self) -> None:
        for image in support.kernels():
            with self.subTest(image=image.name):
                self.assertEqual([{'threads': 64}] * 2, [support.native('talk', image=image), self.pool.run('talk', image=image)])

    def test_large_allocations(self) -> None:
        size = (self.size('memory') or 256) << 20
        share = ('--compute', 100, '--memory', (size >> 20) + 256)
        found = {'native': support.native('reserve', size), 'slice': self.pool.run('reserve', size, options=share)}
        self.assertEqual([size, size], [one['bytes'] for one in found.values()])
        support.note('allocation', **found)

    def test_memory_quota_is_exact(self) -> None:
        found = self.pool.run('quota', 1 << 20, options=('--compute', 50, '--memory', 300))
        self.assertEqual((300 << 20, OUT_OF_MEMORY), (found['bytes'], found['error']))

    def test_one_tenant_crashes_and_the_other_does_not_notice(self) -> None:
        share = ('--compute', 50, '--memory', 256)
        other = self.pool.start('triad', 6 if self.real else 3, 'wait', options=share)
        stray = self.pool.start('stray', 'wait', options=share)
        self.pool.begin(other, stray)
        self.assertEqual(ILLEGAL_ADDRESS, support.answer(*stray.communicate(timeout=60))['error'])
        self.assertIsNone(other.poll(), 'it was over before the crash')
        self.assertTrue(support.answer(*other.communicate(timeout=60))['right'])

    def test_a_former_tenants_bytes_are_gone(self) -> None:
        """On a real device both have nearly all of its memory: the next tenant cannot get other pages."""
        device = self.pool.show('device', 'list', '--long')[0]
        memory = (device['free_memory'] - device['overhead']) * 95 // 100 if self.real else 512
        share, size = ('--compute', 50, '--memory', memory), (memory - 1 if self.real else 400) << 20
        self.assertEqual(size, self.pool.run('fill', size, options=share)['bytes'])
        self.assertEqual(0, self.pool.run('remains', size, options=share)['words'])

    def test_shares(self) -> None:
        seconds = 10 if self.real else 3
        for small in (10, 30, 50):
            with self.subTest(small=small):
                programs = [self.pool.start('triad', seconds, self.size('triad'), 'wait',
                                            options=('--compute', share, '--memory', self.memory))
                            for share in (small, 100 - small)]
                self.pool.begin(*programs)
                done = [support.answer(*program.communicate(timeout=120))['work'] for program in programs]
                share = 100 * done[0] / sum(done)
                support.note(f'shares {small}/{100 - small}', got=share)
                support.judge(verdicts.share(f'shares {small}/{100 - small}', small, share))

    def test_a_tenant_that_only_copies_takes_no_share(self) -> None:
        """Copies over the bus are not metered; this is what that rests on."""
        seconds, rate = 5 if self.real else 1, {}
        for way in ('alone', 'together'):
            others = [self.pool.start('traffic', seconds + 3, options=('--compute', 45, '--memory', 128))
                      for _ in range(2 if way == 'together' else 0)]
            found = self.pool.run('triad', seconds, self.size('triad'),
                                  options=('--compute', 10, '--memory', self.memory))
            rate[way] = found['work'] / found['seconds']
            for other in others:
                self.assertTrue(support.answer(*other.communicate(timeout=60))['right'])
        support.note('kernels beside copies', **rate)
        support.judge(verdicts.beside_copies(rate['together'], rate['alone']))

    def test_numba_cuda(self) -> None:
        carried = support.BUILD / 'numba'
        if not carried.exists() and importlib.util.find_spec('numba_cuda') is None:
            self.skipTest('numba-cuda was not carried along (tools/hw/build.sh says why) and is not installed')
        program = support.ROOT / 'examples/numba_vector.py'
        done = subprocess.run(
            self.pool.cli('run', '--consumer-host', support.HOST, '--compute', 100, '--memory', 1024, '--', sys.executable,
                          '-c', 'import runpy, site, sys; site.addsitedir(sys.argv[1]); runpy.run_path(sys.argv[2], '
                          'run_name="__main__")', carried, program),
            env=self.pool.environment, capture_output=True, text=True, timeout=180, check=False)
        self.assertEqual(0, done.returncode, done.stdout[-2000:] + done.stderr[-2000:])
        self.assertEqual(4, done.stdout.count(': ok'), done.stdout)


class Overhead(SlicesCase):
    """On a service of its own, so that nothing else is on the device."""

    def test_of_an_idle_session(self) -> None:
        self.need_real()
        channel = Channel(20.0, support.LIBRARIES)
        self.addCleanup(channel.close)
        support.note('session overhead', **overhead.measure(self.pool, channel, support.target().split()[1]))
