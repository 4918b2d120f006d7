# SPDX-License-Identifier: Apache-2.0
"""The bundle, installed as in a guest: nothing but the system's Python and loader, and programs of ordinary users.

It has an /etc, a /run and a /usr/local of its own, in a mount namespace.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

from accelpool.remoting import artefacts
from tests.functional import test_guest
from tests.support import guest

PYTHON = '/usr/bin/python3'
#: The guest's root does this; $1 is a place with what it needs, $2 Python, $3 a library by the vendor's name.
SCRIPT = """
set -eu
mkdir "$1/etc" "$1/local" "$1/state"
cp -a /etc/. "$1/etc"
mount --bind "$1/etc" /etc
mount --bind "$1/local" /usr/local
mount --bind "$1/state" /var/lib
mount -t tmpfs tmpfs /run
mkdir "$1/vendor"  # a guest with a GPU of its own, too
cp "$3" "$1/vendor"
echo "$1/vendor" >/etc/ld.so.conf.d/nvidia.conf
ldconfig
tar -xzf "$1/bundle.tar.gz" -C "$1"
"$1/accelpool-guest/install.sh"
mkdir -p /etc/accelpool
cp "$1/guest.conf" /etc/accelpool
accelpool-guest run >"$1/log" 2>&1 &
keeper=$!
trap 'kill -9 $keeper 2>/dev/null || :' EXIT
accelpool-guest wait --timeout 30
accelpool-guest status
ls -ln /run/accelpool-guest
setpriv --reuid 65534 --regid 65534 --clear-groups "$2" "$1/program.py"
setpriv --reuid 65533 --regid 65533 --clear-groups "$2" "$1/program.py" 2>&1
ldconfig -p | grep -m 1 libcuda.so.1
kill $keeper
wait $keeper
ldconfig -p | grep -m 1 libcuda.so.1
"""
PROGRAM = """
import ctypes
cuda = ctypes.CDLL('libcuda.so.1')
found = ctypes.c_int()
print('cuInit', cuda.cuInit(0), 'devices', (cuda.cuDeviceGetCount(ctypes.byref(found)), found.value)[1])
"""


@unittest.skipUnless(os.geteuid() == 0 and pathlib.Path(PYTHON).exists() and shutil.which('setpriv'),
                     'needs root, a mount namespace and the system\'s Python')
class Bundle(test_guest.GuestCase):
    def test_installed_guest_serves_programs_of_its_users(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-bundle-')))
        place.chmod(0o755)
        made = subprocess.run([sys.executable, '-m', 'accelpool.cmd.guest', 'bundle', str(place / 'bundle.tar.gz')],
                              cwd=guest.ROOT, text=True, capture_output=True)
        self.assertEqual(0, made.returncode, made.stderr)
        self.offer(self.allocate())
        (place / 'guest.conf').write_text(f'[guest]\nusers = root, 65534\nmetadata = {self.metadata.url}\n')
        (place / 'program.py').write_text(PROGRAM)
        done = subprocess.run(
            ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'guest', str(place),
             PYTHON, str(artefacts.client_library('cuda'))], text=True, capture_output=True, timeout=120,
            env={'PATH': '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'})
        self.assertEqual(0, done.returncode, f'{done.stdout}{done.stderr}')
        self.assertIn('state:       attached', done.stdout)
        self.assertRegex(done.stdout, r'-rw------- 1 65534 .* 65534\.json')
        self.assertIn('cuInit 0 devices 1', done.stdout)
        self.assertIn('cuInit 100 devices 0', done.stdout)  # the stranger has no attachment
        while_it_ran, afterwards = done.stdout.splitlines()[-2:]
        self.assertIn('/usr/local/lib/accelpool/cuda/libcuda.so.1', while_it_ran)
        self.assertIn('vendor/libcuda.so.1', afterwards)

    def test_archive_has_no_python_package_of_others(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place, 'bundle.tar.gz')
            subprocess.run([sys.executable, '-m', 'accelpool.cmd.guest', 'bundle', str(file)], check=True, cwd=guest.ROOT)
            with tarfile.open(file) as archive:
                archive.extractall(place, filter='data')
            self.assertEqual({'accelpool-guest', 'accelpool-guest.service', 'install.sh', 'lib'},
                             {path.name for path in pathlib.Path(place, 'accelpool-guest').iterdir()})
            said = subprocess.run([PYTHON, '-I', f'{place}/accelpool-guest/accelpool-guest', 'status'], text=True,
                                  capture_output=True, cwd='/')
            self.assertIn('accelpool-guest does not run', said.stdout, said.stderr)


if __name__ == '__main__':
    unittest.main()
