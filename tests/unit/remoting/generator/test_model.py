# SPDX-License-Identifier: Apache-2.0
"""Interface descriptions: what is refused, and what a description means."""

import copy
import pathlib
import tempfile
import unittest
from typing import Any

from accelpool.remoting.generator import __main__ as generator
from accelpool.remoting.generator import emit_client, emit_wire, model

INTERFACES = pathlib.Path(model.__file__).parents[1] / 'interfaces'

DESCRIPTION: dict[str, Any] = {
    'interface': 'toy',
    'result': 'int',
    'stream_literals': 2,
    'errors': {'INVALID_VALUE': 1},
    'types': {'int': 'i32', 'size_t': 'u64', 'CUdeviceptr': 'u64', 'CUstream': 'stream'},
    'functions': [
        {'name': 'toySet_v2', 'version': 3020, 'ptsz': 7000, 'opcode': 64, 'reply': 'none', 'work': True,
         'args': {'to': {'type': 'CUdeviceptr', 'writes': 'count'}, 'count': 'size_t', 'stream': 'CUstream'},
         'refuse': {'to % 4': 'INVALID_VALUE'}},
        {'name': 'toyAsk', 'version': 2000, 'opcode': 65, 'reply': 'wait', 'blocks': True,
         'args': {'answer': {'type': 'int *', 'returns': 'i32'}}},
        {'name': 'toyKnow', 'version': 2000, 'reply': 'local', 'args': {'anything': 'struct odd *'}},
        {'name': 'toyCopy', 'version': 2000, 'reply': 'none', 'custom': 'client', 'frames': ['COPY_IN', 'toySet_v2']},
    ],
    'undescribed': {'toySet': 2000, 'toyOther': 12000},
}


def described(**change: Any) -> dict[str, Any]:
    """The description with values of its first function replaced."""
    document = copy.deepcopy(DESCRIPTION)
    document['functions'][0].update(change)
    return document


class Refused(unittest.TestCase):
    def refused(self, document: Any, reason: str) -> None:
        with self.assertRaisesRegex(model.DescriptionError, reason):
            model.parse(document)

    def test_what_is_no_description(self) -> None:
        documents: list[Any] = [None, [], {}, DESCRIPTION | {'extra': 1}]
        for document in documents:
            self.refused(document, 'keys of a description')

    def test_names_the_function(self) -> None:
        self.refused(described(reply='perhaps'), 'toySet_v2.*perhaps')

    def test_function_that_is_none(self) -> None:
        for entry in ('toy', {}, {'name': 'no good'}, {'name': 7}):
            document = copy.deepcopy(DESCRIPTION)
            document['functions'].append(entry)
            self.refused(document, 'not a function')

    def test_missing_and_unknown_keys(self) -> None:
        document = described()
        del document['functions'][0]['reply']
        self.refused(document, 'must be there')
        self.refused(described(repyl='none'), 'repyl')

    def test_opcodes(self) -> None:
        self.refused(described(opcode=65), 'opcode 65 is used twice')
        for opcode in (63, 65536, -1):
            self.refused(described(opcode=opcode), 'not within')
        document = described()
        del document['functions'][0]['opcode']
        self.refused(document, 'needs an opcode')

    def test_symbols_are_unique(self) -> None:
        self.refused(described(name='toyAsk'), 'symbol toyAsk is used twice')
        self.refused(described(name='toyOther'), 'symbol toyOther is used twice')
        document = described()
        document['undescribed']['toySet_v2_ptsz'] = 1
        self.refused(document, 'toySet_v2_ptsz is used twice')

    def test_local_functions_send_nothing(self) -> None:
        self.refused(described(reply='local'), 'sends nothing')

    def test_only_waiting_calls_block(self) -> None:
        self.refused(described(blocks=True), 'may block')

    def test_custom_and_frames(self) -> None:
        self.refused(described(custom='nobody'), 'nobody')
        self.refused(described(frames=['NO_SUCH_FRAME']), 'unknown frame')

    def test_an_older_name_is_of_the_same_call(self) -> None:
        for name in ('toyAsk', 'toyOther'):
            self.refused(described(older=name), f'{name} is not the same call')

    def test_unknown_error(self) -> None:
        self.refused(described(refuse={'to % 4': 'NO_SUCH_ERROR'}), 'unknown error')

    def test_arguments(self) -> None:
        for argument, reason in (
                ('struct odd', 'no wire type'),
                ({'type': 'CUstream', 'creates': 'stream'}, 'no pointer'),
                ({'type': 'CUstream *', 'creates': 'horse'}, 'handle kind'),
                ({'type': 'int *', 'returns': 'i32'}, 'only a call that waits'),
                ({'type': 'int', 'reads': '4'}, 'no device address'),
                ({'type': 'CUdeviceptr', 'reads': '4', 'writes': '4'}, 'two roles'),
                ({'type': 'int', 'colour': 'red'}, 'makes no sense'),
                ({'reads': '4'}, 'makes no sense'),
                (None, 'makes no sense'),
        ):
            self.refused(described(args={'argument': argument}, refuse={}), reason)

    def test_types(self) -> None:
        document = described()
        document['types'] = document['types'] | {'int': 'i33'}
        self.refused(document, 'i33')

    def test_message_names_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place) / 'toy.yaml'
            path.write_text('interface: [')
            with self.assertRaisesRegex(model.DescriptionError, 'toy.yaml'):
                model.load(path)
            self.assertEqual(1, generator.main(['--out', place, str(path)]))


class Accepted(unittest.TestCase):
    def test_symbols_for_look_up(self) -> None:
        symbols = model.parse(copy.deepcopy(DESCRIPTION)).symbols
        self.assertEqual([('toySet', 2000, False), ('toySet_v2', 3020, False), ('toySet_v2_ptsz', 7000, True)],
                         [(s.name, s.version, s.per_thread) for s in symbols if s.base == 'toySet'])

    def test_cuda_description(self) -> None:
        interface = model.load(INTERFACES / 'cuda.yaml')
        self.assertGreater(len(interface.functions), 150)
        self.assertGreater(len(interface.calls), 30)

    def test_every_cuda_call_is_one_of_driver_550(self) -> None:
        """Or has an older name there: the worker asks the host's driver, which may be that old."""
        interface = model.load(INTERFACES / 'cuda.yaml')
        version = {f.name: f.version for f in interface.functions}
        self.assertEqual([], [f.name for f in interface.calls if version[f.older or f.name] > 12040])

    def test_opcodes_never_move(self) -> None:
        """A released opcode keeps its meaning; a new call gets a new line here."""
        calls = {f.opcode: f.name for f in model.load(INTERFACES / 'cuda.yaml').calls}
        self.assertEqual({
            64: 'cuCtxSynchronize', 65: 'cuStreamCreate', 66: 'cuStreamCreateWithPriority', 67: 'cuStreamDestroy_v2',
            68: 'cuStreamSynchronize', 69: 'cuStreamQuery', 70: 'cuStreamWaitEvent', 71: 'cuEventCreate',
            72: 'cuEventDestroy_v2', 73: 'cuEventRecord', 74: 'cuEventRecordWithFlags', 75: 'cuEventSynchronize',
            76: 'cuEventQuery', 77: 'cuEventElapsedTime_v2', 78: 'cuMemsetD8_v2', 79: 'cuMemsetD8Async',
            80: 'cuMemsetD16_v2', 81: 'cuMemsetD16Async', 82: 'cuMemsetD32_v2', 83: 'cuMemsetD32Async',
            84: 'cuMemsetD2D8_v2', 85: 'cuMemsetD2D8Async', 86: 'cuMemsetD2D16_v2', 87: 'cuMemsetD2D16Async',
            88: 'cuMemsetD2D32_v2', 89: 'cuMemsetD2D32Async', 90: 'cuMemcpyDtoD_v2', 91: 'cuMemcpyDtoDAsync_v2',
            92: 'cuCtxSetLimit', 93: 'cuCtxGetLimit', 94: 'cuCtxResetPersistingL2Cache', 95: 'cuTensorMapEncodeTiled',
            96: 'cuTensorMapEncodeIm2col', 97: 'cuTensorMapReplaceAddress', 98: 'cuOccupancyMaxActiveClusters',
            99: 'cuOccupancyMaxPotentialClusterSize'}, calls)


class SecondApi(unittest.TestCase):
    """What AscendCL's description says and CUDA's does not."""

    def generate(self, document: Any) -> dict[str, str]:
        interface = model.parse(copy.deepcopy(document))
        return {'client': emit_client.client_source(interface), 'wire': emit_wire.wire_header(interface)}

    def test_without_a_look_up_there_is_no_table_of_symbols(self) -> None:
        self.assertIn('client_symbols', self.generate(DESCRIPTION)['client'])
        self.assertNotIn('client_symbols', self.generate(DESCRIPTION | {'lookup': False})['client'])

    def test_a_refused_function_whose_result_is_no_code_gives_null(self) -> None:
        source = self.generate(DESCRIPTION | {'lookup': False, 'undescribed': {'toyMake': 'value'}})['client']
        self.assertIn('void *toyMake(void)\n{', source)
        self.assertIn('return client_unsupported("toyMake", &said), NULL;', source)

    def test_a_call_by_hand_on_both_sides_may_take_anything(self) -> None:
        document = described(custom='both', args={'anything': 'struct odd *'}, refuse={})
        generated = self.generate(document)
        self.assertIn('TOY_OP_toySet_v2', generated['wire'])
        self.assertNotIn('struct toy_toySet_v2_call', generated['wire'])

    def test_ascendcl_carries_what_torch_npu_needs(self) -> None:
        interface = model.load(INTERFACES / 'acl.yaml')
        self.assertGreater(len(interface.functions), 110)
        self.assertEqual({'wait', 'none', 'local'}, {f.reply for f in interface.functions})

    def test_opcodes_of_ascendcl_never_move(self) -> None:
        calls = {f.opcode: f.name for f in model.load(INTERFACES / 'acl.yaml').calls}
        self.assertEqual({
            64: 'aclrtSynchronizeDevice', 65: 'aclrtSynchronizeDeviceWithTimeout',
            66: 'aclrtCreateStreamWithConfig', 67: 'aclrtDestroyStream', 68: 'aclrtDestroyStreamForce',
            69: 'aclrtSynchronizeStream', 70: 'aclrtSynchronizeStreamWithTimeout', 71: 'aclrtStreamQuery',
            72: 'aclrtStreamGetId', 73: 'aclrtCreateEventExWithFlag', 74: 'aclrtDestroyEvent',
            75: 'aclrtRecordEvent', 76: 'aclrtResetEvent', 77: 'aclrtStreamWaitEvent', 78: 'aclrtSynchronizeEvent',
            79: 'aclrtSynchronizeEventWithTimeout', 80: 'aclrtQueryEventStatus', 81: 'aclrtQueryEventWaitStatus',
            82: 'aclrtEventElapsedTime', 83: 'aclrtEventGetTimestamp', 84: 'aclrtMemsetAsync',
            85: 'aclrtMemcpyAsync', 86: 'aclrtBinaryGetFunction', 87: 'aclrtBinaryGetFunctionByEntry',
            88: 'aclrtLaunchKernelWithHostArgs', 89: 'aclrtSetStreamOverflowSwitch',
            90: 'aclrtGetStreamOverflowSwitch', 91: 'aclrtSetDeviceSatMode', 92: 'aclrtGetDeviceSatMode',
            93: 'aclrtSetOpExecuteTimeOut', 94: 'aclrtSetOpExecuteTimeOutV2', 95: 'aclrtSetOpWaitTimeout',
            96: 'aclrtGetOpExecuteTimeout', 97: 'aclrtSetStreamFailureMode', 98: 'aclrtNpuGetFloatOverFlowStatus',
            99: 'aclrtNpuClearFloatOverFlowStatus', 100: 'aclrtIpcMemGetExportKey', 101: 'aclrtIpcMemSetImportPid',
            102: 'aclrtIpcMemImportByKey', 103: 'aclrtIpcMemClose', 104: 'aclrtIpcGetEventHandle',
            105: 'aclrtIpcOpenEventHandle', 106: 'rtGetSocSpec', 107: 'aclrtGetHardwareSyncAddr', 108: 'rtGetC2cCtrlAddr',
            109: 'aclrtCtxGetFloatOverflowAddr'}, calls)
