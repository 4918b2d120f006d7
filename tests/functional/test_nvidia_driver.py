# SPDX-License-Identifier: Apache-2.0
"""The driver's tests that also run on hardware (tests/hardware), on every host of the stand-in."""

from tests.hardware import test_inventory, test_session, test_slicing

for description, cases in {
        'dgx-a100': (test_inventory.Inventory, test_slicing.WholeAndShared, test_slicing.MigSlices, test_slicing.MpsSlices),
        'h100': (test_inventory.Inventory, test_slicing.WholeAndShared, test_slicing.MpsSlices, test_session.Session),
        'l4': (test_inventory.Inventory, test_slicing.WholeAndShared),
        'vgpu-mig': (test_inventory.Inventory,),
        'mixed': (test_inventory.Inventory, test_slicing.WholeAndShared)}.items():
    for case in cases:
        name = f'{case.__name__}On{description.title().replace("-", "")}'
        globals()[name] = type(name, (case,), {'description': description})
del case  # pytest would take it for one of these
