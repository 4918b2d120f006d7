# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.integration.support.relay ADDRESS PORT ...``: forwards to the same ports of 127.0.0.1.

The servers listen on the loopback only; this lets another network namespace reach them over a link that can be cut.
"""

import asyncio
import sys


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(address: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection('127.0.0.1', port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(connected, address, port)
    await server.serve_forever()


async def _main(address: str, ports: list[int]) -> None:
    await asyncio.gather(*(_serve(address, port) for port in ports))


if __name__ == '__main__':
    asyncio.run(_main(sys.argv[1], [int(port) for port in sys.argv[2:]]))
