# SPDX-License-Identifier: Apache-2.0
"""The comparison of what moves, on answers that are made up with the elements of nvidia-smi's."""

import unittest
from typing import Any
from xml.etree import ElementTree

from tests.hardware import moving, smi

SAID = """<gpu id="00000000:AF:00.0">
  <clocks_event_reasons>
    <clocks_event_reason_gpu_idle>Active</clocks_event_reason_gpu_idle>
    <clocks_event_reason_sw_power_cap>Active</clocks_event_reason_sw_power_cap>
    <clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown>
    <clocks_event_reason_hw_thermal_slowdown>N/A</clocks_event_reason_hw_thermal_slowdown>
    <clocks_event_reason_sw_thermal_slowdown>Not Active</clocks_event_reason_sw_thermal_slowdown>
  </clocks_event_reasons>
  <fb_memory_usage>
    <total>23034 MiB</total><reserved>456 MiB</reserved><used>2048 MiB</used><free>20530 MiB</free>
  </fb_memory_usage>
  <utilization><gpu_util>40 %</gpu_util><memory_util>10 %</memory_util></utilization>
  <ecc_errors><volatile>
    <sram_correctable>1</sram_correctable><sram_uncorrectable_parity>2</sram_uncorrectable_parity>
    <sram_uncorrectable_secded>3</sram_uncorrectable_secded><dram_correctable>4</dram_correctable>
    <dram_uncorrectable>5</dram_uncorrectable>
  </volatile><aggregate><dram_correctable>99</dram_correctable></aggregate></ecc_errors>
  <temperature><gpu_temp>45 C</gpu_temp></temperature>
  <gpu_power_readings>
    <average_power_draw>60.00 W</average_power_draw><instant_power_draw>64.00 W</instant_power_draw>
  </gpu_power_readings>
  <clocks><graphics_clock>300 MHz</graphics_clock><sm_clock>2010 MHz</sm_clock><mem_clock>6251 MHz</mem_clock></clocks>
  <processes>
    <process_info>
      <gpu_instance_id>N/A</gpu_instance_id><compute_instance_id>N/A</compute_instance_id><pid>7</pid><type>C</type>
      <process_name>python</process_name><used_memory>512 MiB</used_memory>
    </process_info>
    <process_info>
      <gpu_instance_id>2</gpu_instance_id><compute_instance_id>0</compute_instance_id><pid>8</pid><type>M+C</type>
      <process_name>python</process_name><used_memory>1024 MiB</used_memory>
    </process_info>
  </processes>
</gpu>"""
METRICS = {
    'temperature_celsius': 46.0, 'power_watts': 61.2, 'utilization_percent': 40.0, 'memory_utilization_percent': 10.0,
    'memory_used_mib': 2048.0, 'memory_free_mib': 20530.0, 'clock_mhz': 2010.0, 'memory_clock_mhz': 6251.0,
    'ecc_corrected_errors': 5.0, 'ecc_uncorrected_errors': 10.0, 'throttled_power_cap': 1.0, 'throttled_hardware': 0.0,
    'throttled_thermal_software': 0.0, 'throttled_thermal_hardware': 0.0, 'throttled_power_brake': 0.0}
PROCESSES = [{'pid': 7, 'instance': None, 'memory': 512}, {'pid': 8, 'instance': 2, 'memory': 1024}]


def compare(before: str = SAID, after: str | None = None, processes: list[dict[str, Any]] = PROCESSES, visible: bool = True,
            **metrics: float | None) -> dict[str, smi.Said]:
    """Compare; a metric that is None is one that the device does not have."""
    return moving.compare(
        ElementTree.fromstring(before), ElementTree.fromstring(before if after is None else after),
        {name: value for name, value in {**METRICS, **metrics}.items() if value is not None}, processes, lambda _: visible)


def wrong(*arguments: Any, **named: Any) -> set[str]:
    return set(smi.wrong(compare(*arguments, **named)))


class Sensors(unittest.TestCase):
    def test_what_is_right(self) -> None:
        found = compare()
        self.assertEqual({}, smi.wrong(found))
        self.assertEqual(set(METRICS) - {'throttled_thermal_hardware', 'throttled_power_brake'}
                         | {'processes', 'memory of processes'}, set(found), 'all that nvidia-smi tells')

    def test_each_that_is_wrong_is_named(self) -> None:
        for name, ours in (
                ('temperature_celsius', 60), ('power_watts', 0.0612), ('power_watts', 61200), ('utilization_percent', 0),
                ('memory_utilization_percent', 40), ('memory_used_mib', 2504), ('memory_free_mib', 20986),
                ('clock_mhz', 300), ('memory_clock_mhz', 2010), ('ecc_corrected_errors', 4), ('ecc_corrected_errors', 99),
                ('ecc_uncorrected_errors', 5), ('ecc_uncorrected_errors', None), ('temperature_celsius', None)):
            with self.subTest(name, ours=ours):
                self.assertEqual({name}, wrong(**{name: ours}))

    def test_what_lies_between_the_two_answers_is_right(self) -> None:
        after = SAID.replace('40 %', '95 %').replace('>4</dram_corr', '>8</dram_corr').replace('>2010 MHz', '>210 MHz')
        for utilization, errors, clock in ((40, 5, 210), (70, 7, 1000), (95, 9, 2010)):
            self.assertEqual(set(), wrong(SAID, after, utilization_percent=utilization, ecc_corrected_errors=errors,
                                          clock_mhz=clock))
        self.assertEqual({'ecc_corrected_errors'}, wrong(SAID, after, ecc_corrected_errors=10))
        self.assertEqual({'ecc_corrected_errors'}, wrong(SAID, after, ecc_corrected_errors=4))

    def test_what_a_device_does_not_have(self) -> None:
        said = SAID.replace('40 %', 'N/A').replace('10 %', 'N/A')
        self.assertEqual(set(), wrong(said, utilization_percent=None, memory_utilization_percent=None))
        self.assertEqual({'utilization_percent'}, wrong(said, memory_utilization_percent=None))

    def test_what_nvidia_smi_does_not_tell_is_not_compared(self) -> None:
        self.assertEqual({}, compare('<gpu><temperature/></gpu>'))

    def test_ecc_errors_as_drivers_tell_them(self) -> None:
        turing = '<gpu><ecc_errors><volatile><sram_correctable>0</sram_correctable><sram_uncorrectable>1</sram_uncorrectable>' \
                 '<dram_correctable>2</dram_correctable><dram_uncorrectable>3</dram_uncorrectable></volatile></ecc_errors></gpu>'
        volta = '<gpu><ecc_errors><volatile><single_bit><device_memory>2</device_memory><total>2</total></single_bit>' \
                '<double_bit><device_memory>3</device_memory><total>4</total></double_bit></volatile></ecc_errors></gpu>'
        off = turing.translate(str.maketrans('0123', '****')).replace('*', 'N/A')
        for said in (turing, volta):
            self.assertEqual(set(), wrong(said, ecc_corrected_errors=2, ecc_uncorrected_errors=4))
            self.assertEqual({'ecc_corrected_errors', 'ecc_uncorrected_errors'},
                             wrong(said, ecc_corrected_errors=4, ecc_uncorrected_errors=None))
        self.assertEqual(set(), wrong(off, ecc_corrected_errors=None, ecc_uncorrected_errors=None))
        self.assertEqual({'ecc_corrected_errors'}, wrong(off, ecc_corrected_errors=0, ecc_uncorrected_errors=None))

    def test_power_as_drivers_tell_it(self) -> None:
        for path in ('gpu_power_readings', 'power_readings'):
            said = f'<gpu><{path}><power_draw>300.12 W</power_draw></{path}></gpu>'
            self.assertEqual((set(), {'power_watts'}), (wrong(said, power_watts=300.1), wrong(said, power_watts=61)))


class Reasons(unittest.TestCase):
    def test_a_reason_that_is_missing_or_is_none(self) -> None:
        self.assertEqual({'throttled_power_cap'}, wrong(throttled_power_cap=0.0))
        self.assertEqual({'throttled_hardware'}, wrong(throttled_hardware=1.0))
        self.assertEqual(set(), wrong(throttled_thermal_hardware=1.0), 'the device does not tell')

    def test_a_reason_that_comes_or_goes(self) -> None:
        after = SAID.replace('power_cap>Active', 'power_cap>Not Active')
        self.assertEqual([set(), set()], [wrong(SAID, after, throttled_power_cap=value) for value in (0.0, 1.0)])

    def test_the_names_of_drivers_before_535(self) -> None:
        self.assertEqual({'throttled_power_cap'}, wrong(SAID.replace('clocks_event', 'clocks_throttle'), throttled_power_cap=0.0))


class Processes(unittest.TestCase):
    def test_one_that_only_nvidia_smi_sees(self) -> None:
        self.assertEqual({'processes'}, wrong(processes=PROCESSES[:1]))

    def test_one_that_is_told_of_another_instance(self) -> None:
        self.assertEqual({'processes'}, wrong(processes=[PROCESSES[0], {**PROCESSES[1], 'instance': None}]))

    def test_one_that_nvidia_smi_does_not_see(self) -> None:
        more = [*PROCESSES, {'pid': 9, 'instance': None, 'memory': 1}]
        self.assertEqual({'processes'}, wrong(processes=more))
        self.assertEqual(set(), wrong(processes=more, visible=False), 'it is outside the container that this is')

    def test_one_that_comes_or_goes(self) -> None:
        after = SAID.replace('<pid>7<', '<pid>9<')
        for some in ([], [{'pid': 7, 'instance': None, 'memory': 1}], [{'pid': 9, 'instance': None, 'memory': 1}]):
            self.assertEqual(set(), wrong(SAID, after, processes=[PROCESSES[1], *some]))
        self.assertEqual({'processes'}, wrong(SAID, after, processes=[]))

    def test_memory(self) -> None:
        other = [{**PROCESSES[0], 'memory': 1024}, PROCESSES[1]]
        self.assertEqual({'memory of processes'}, wrong(processes=other))
        self.assertEqual(set(), wrong(SAID, SAID.replace('512 MiB', '1024 MiB'), processes=other), 'it grew meanwhile')
        for unknown in (SAID.replace('512 MiB', 'N/A'), SAID.replace('<type>C<', '<type>C+G<')):
            self.assertEqual(set(), wrong(unknown, processes=other))

    def test_a_device_without_any(self) -> None:
        none = '<gpu><processes>\n</processes></gpu>'
        self.assertEqual((set(), {'processes'}), (wrong(none, processes=[]), wrong(none)))
        self.assertEqual({}, compare('<gpu><processes>N/A</processes></gpu>'))
