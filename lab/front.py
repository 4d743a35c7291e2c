"""TLS in front of the GitHub stand-in: takes connections for GitHub's names and passes them on in the clear.

python -m lab.front --listen ADDRESS:PORT --certificate FILE --to ADDRESS:PORT
"""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from lab.tls import serving

CHUNK = 1 << 16


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()


async def serve(listen: tuple[str, int], certificate: Path, to: tuple[str, int]) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(*to)
            both = [asyncio.create_task(pump(*way)) for way in ((reader, inner_writer), (inner_reader, writer))]
            # Whoever ends first ends both: HTTP has nothing to say to one who has gone.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            inner_writer.close()
        writer.close()

    server = await asyncio.start_server(client, *listen, ssl=serving(certificate), ssl_handshake_timeout=10)
    print(f"listening {listen[0]}:{listen[1]}", flush=True)
    async with server:
        await server.serve_forever()


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.front", description="TLS in front of the stand-in.")
    parser.add_argument("--listen", required=True, type=address, metavar="ADDRESS:PORT")
    parser.add_argument("--certificate", required=True, type=Path, metavar="FILE")
    parser.add_argument("--to", required=True, type=address, metavar="ADDRESS:PORT")
    given = parser.parse_args()
    asyncio.run(serve(given.listen, given.certificate, given.to))
    return 0


if __name__ == "__main__":
    sys.exit(main())
