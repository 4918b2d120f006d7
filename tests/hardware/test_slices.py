# SPDX-License-Identifier: Apache-2.0
"""Programs on slices against the same programs natively, in the same run; figures count on real hardware only."""

from tests.hardware import support

#: Work on a slice relative to native work, at least: long kernels 1 % slower at most, steps of 300 launches 10 %.
TARGETS = {'gemm': 0.99, 'triad': 0.99, 'step': 0.90}
OUT_OF_MEMORY = 2
ILLEGAL_ADDRESS = 700


class Slices(support.HardwareCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.seconds = 5 if cls.real else 1
        if not support.missing():
            cls.pool = support.Pool()
            cls.addClassCleanup(cls.pool.close)

    def test_kernels_native_unix_tcp(self) -> None:
        for image in support.kernels():
            for name, target in TARGETS.items():
                with self.subTest(image=image.name, kernel=name):
                    found = {'native': support.native(name, self.seconds, image=image),
                             'unix': self.pool.run(name, self.seconds, image=image),
                             'tcp': self.pool.run(name, self.seconds, image=image, tcp=True)}
                    self.assertEqual({True}, {one.get('right') for one in found.values()}, found)
                    rate = {way: one['work'] / one['seconds'] for way, one in found.items()}
                    support.note(f'{name} {image.suffix[1:]}', **rate)
                    if self.real:
                        self.assertGreaterEqual(rate['unix'], target * rate['native'])
                        self.assertGreaterEqual(rate['tcp'], target * rate['native'])

    def test_copies(self) -> None:
        size = (256 if self.real else 16) << 20
        found = {'native': support.native('copy', size), 'unix': self.pool.run('copy', size),
                 'tcp': self.pool.run('copy', size, tcp=True)}
        self.assertEqual({True}, {one.get('right') for one in found.values()}, found)
        support.note('copies', **found)

    def test_memory_quota_is_exact(self) -> None:
        found = self.pool.run('quota', 1 << 20, options=('--compute', 50, '--memory', 300))
        self.assertEqual((300 << 20, OUT_OF_MEMORY), (found['bytes'], found['error']))

    def test_one_tenant_crashes_and_the_other_does_not_notice(self) -> None:
        share = ('--compute', 50, '--memory', 256)
        other = self.pool.start('triad', 6 if self.real else 3, options=share)
        self.assertEqual(ILLEGAL_ADDRESS, self.pool.run('stray', options=share)['error'])
        output, errors = other.communicate(timeout=60)
        self.assertTrue(support.answer(output, errors)['right'])

    def test_a_former_tenants_bytes_are_gone(self) -> None:
        share = ('--compute', 50, '--memory', 512)
        self.pool.run('fill', 400 << 20, options=share)
        self.assertEqual(0, self.pool.run('remains', 400 << 20, options=share)['words'])

    def test_shares(self) -> None:
        seconds = 10 if self.real else 3
        for small in (10, 30, 50):
            with self.subTest(small=small):
                programs = [self.pool.start('triad', seconds, options=('--compute', share, '--memory', 128))
                            for share in (small, 100 - small)]
                done = [support.answer(*program.communicate(timeout=120))['work'] for program in programs]
                share = 100 * done[0] / sum(done)
                support.note(f'shares {small}/{100 - small}', got=share)
                if self.real:
                    self.assertAlmostEqual(small, share, delta=2)
