# SPDX-License-Identifier: Apache-2.0
"""Builds the native parts with make and hands everything else to pbr (setup.cfg)."""

import pathlib
import subprocess
import sys

import setuptools
from setuptools.command.build_ext import build_ext


class BuildNative(build_ext):
    """`make native` into the package: accelpool/_native/{lib,bin}."""

    def run(self) -> None:
        root = pathlib.Path('.') if self.inplace else pathlib.Path(self.build_lib)
        subprocess.run(
            ['make', '--no-print-directory', 'native', f'PYTHON={sys.executable}',
             f'OUT={root / "accelpool" / "_native"}'], check=True)

    def get_outputs(self) -> list[str]:
        root = pathlib.Path(self.build_lib) / 'accelpool' / '_native'
        return [str(path) for path in root.rglob('*') if path.is_file()]


class Distribution(setuptools.Distribution):
    """Knows our build_ext; pbr replaces whatever setup() is told of commands."""

    def get_command_class(self, command: str) -> type[setuptools.Command]:
        return BuildNative if command == 'build_ext' else super().get_command_class(command)


setuptools.setup(
    setup_requires=['pbr>=7.0'],
    pbr=True,
    # The one "extension" only tells setuptools that the wheel belongs to one platform.
    ext_modules=[setuptools.Extension('accelpool._native', sources=[])],
    distclass=Distribution,
)
