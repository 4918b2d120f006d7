# SPDX-License-Identifier: Apache-2.0
"""What is generated from a description, as far as a reader of the files would notice."""

import copy
import unittest

from accelpool.remoting.generator import emit_client, emit_docs, emit_wire, emit_worker, model
from tests.unit.remoting.generator.test_model import DESCRIPTION


class Emitted(unittest.TestCase):
    def setUp(self) -> None:
        self.interface = model.parse(copy.deepcopy(DESCRIPTION))

    def test_every_symbol_is_defined_and_found(self) -> None:
        source = emit_client.client_source(self.interface)
        for symbol in self.interface.symbols:
            self.assertIn(f'(client_function){symbol.name}}}', source)
        for name in self.interface.undescribed:
            self.assertIn(f'client_unsupported("{name}"', source)

    def test_client_checks_range_and_refusals_before_it_sends(self) -> None:
        source = emit_client.client_source(self.interface)
        stub = source[source.index('int toySet_v2('):source.index('session_post')]
        self.assertIn('if (to % 4)', stub)
        self.assertIn('client_range(device, to, count)', stub)
        self.assertIn('client_stream(device, stream,', stub)

    def test_worker_checks_the_same_range_before_the_vendor_is_called(self) -> None:
        source = emit_worker.worker_source(self.interface)
        handler = source[source.index('static void handle_toySet_v2'):]
        self.assertLess(handler.index('dec_done'), handler.index('memory_contains(s, to, count)'))
        self.assertLess(handler.index('memory_contains'), handler.index('vendor_calls.toySet_v2(to'))

    def test_a_call_with_an_older_name_is_looked_for_under_both(self) -> None:
        document = copy.deepcopy(DESCRIPTION)
        document['functions'][0]['older'] = 'toySet'
        document['functions'].append({'name': 'toySet', 'version': 2000, 'reply': 'none', 'custom': 'client',
                                      'args': {'to': 'CUdeviceptr', 'count': 'size_t', 'stream': 'CUstream'}})
        del document['undescribed']['toySet']
        source = emit_worker.worker_source(model.parse(document))
        loader = source[source.index('void toy_vendor_load'):]
        self.assertLess(loader.index('dlsym(library, "toySet_v2")'), loader.index('dlsym(library, "toySet")'))

    def test_blocking_calls_are_marked_for_the_side_thread(self) -> None:
        source = emit_worker.worker_source(self.interface)
        self.assertIn('{handle_toyAsk, 1}', source)
        self.assertIn('{handle_toySet_v2, 0}', source)

    def test_payload_has_one_field_for_every_input(self) -> None:
        header = emit_wire.wire_header(self.interface)
        self.assertIn('TOY_OP_toySet_v2 = 64', header)
        for field in ('uint64_t to;', 'uint64_t count;', 'uint64_t stream;', 'int32_t answer;'):
            self.assertIn(field, header)

    def test_a_reply_has_every_result_in_turn(self) -> None:
        document = copy.deepcopy(DESCRIPTION)
        document['functions'][1]['args']['place'] = {'type': 'void **', 'returns': 'u64'}
        interface = model.parse(document)
        self.assertIn('int32_t answer;\n    uint64_t place;', emit_wire.wire_header(interface))
        self.assertIn('*place = (void *)reply.place;', emit_client.client_source(interface))
        self.assertIn('{.answer = answer, .place = place}', emit_worker.worker_source(interface))

    def test_coverage_names_every_carried_function(self) -> None:
        table = emit_docs.coverage(self.interface)
        for function in self.interface.functions:
            self.assertIn(f'``{function.name}``', table)

    def test_dictionary_has_every_opcode(self) -> None:
        dictionary = emit_docs.fuzz_dictionary(self.interface)
        self.assertIn('toyAsk_1="\\x00\\x00\\x00\\x00\\x41\\x00\\x01\\x00"', dictionary)
