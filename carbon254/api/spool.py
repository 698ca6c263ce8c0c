"""Where an answer is put together before any of it is sent: in memory while it is small, else in a file without a name.

So the engine is let go as soon as it has answered, however slowly the reader takes it, and an answer that fails half
way is an error and not a torn body.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from carbon254.stores.hot.readers import too_large

_IN_MEMORY = 4 << 20
_PIECE = 256 << 10


class Spool:
    """Bytes of one answer, at most `most`. Closed by whoever sends or drops it."""

    def __init__(self, most: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._most, self.size, self.closed = most, 0, False

    def write(self, data: bytes) -> int:
        """Append. Raises QueryRefused where the answer would grow beyond the bound."""
        self.size += len(data)
        if self.size > self._most:
            raise too_large(self._most)
        if self.size > _IN_MEMORY:
            # Before it is written, not after: a large piece would lie in memory once more.
            self._file.rollover()
        return self._file.write(data)

    def flush(self) -> None:
        """Nothing waits: it is read from the same place."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """What was written, in pieces."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def whole(self) -> bytes:
        """What was written, at once."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Let the bytes go."""
        self.closed = True
        self._file.close()


class SpooledResponse(Response):
    """A response of known length: what stands before the spool, the spool, what stands behind it."""

    def __init__(
        self, spool: Spool, media_type: str, headers: dict[str, str], before: bytes = b"", behind: bytes = b""
    ) -> None:
        size = len(before) + spool.size + len(behind)
        super().__init__(headers=headers | {"Content-Length": str(size)}, media_type=media_type)
        self._spool, self._ends = spool, (before, behind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for more in (self._ends[0], self._spool.pieces(), self._ends[1]):
                if isinstance(more, bytes):
                    await send({"type": "http.response.body", "body": more, "more_body": True})
                else:
                    async for piece in more:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._spool.close()


def sealed(parts: Sequence[str]) -> bytes:
    """The end of a JSON object whose last list was left open."""
    return ("]" + "".join(f",{part}" for part in parts) + "}").encode()
