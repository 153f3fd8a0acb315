"""Questions to the kernel over one netlink socket, each matched with its answer."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater

from flip.addresses.messages import (
    DONE,
    DUMP_INTERRUPTED,
    ERROR,
    Message,
    Request,
    Verdict,
    frame,
    split,
    verdict,
)
from flip.addresses.pace import SLICE, Pace
from flip.addresses.reader import NetlinkReader
from flip.addresses.sockets import Sock
from flip.errors import AddressError, MalformedMessage
from flip.log import Logger

BATCH, SMALLEST_BATCH = 25, 5  # requests in one send; more than 25 are no faster
FIRST_BATCH = 10  # before it is known how long this kernel takes: 0.03 to 1 ms each
ANSWER_LIMIT = 5.0  # seconds; the kernel answers while it is being asked
PAUSE = 0.01  # seconds before the next try
ATTEMPTS = 5  # when answers were lost, and when a listing changed while it was read
CROWDED = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR}  # asking again may help

T = TypeVar("T")
_log = Logger()


class Exchange:
    """Has requests carried out in batches, and lists; one after another.

    :ivar batch: how many requests to send at once, by what the last ones took.
    :param opened: opens the socket.
    :param doubtful: is called when answers were lost or late: news may have been read before
        the answer that they follow.
    """

    def __init__(
        self, reactor: Any, pace: Pace, opened: Callable[[], Sock], doubtful: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._pace = pace
        self._opened = opened
        self._doubtful = doubtful
        self._lock = DeferredLock()
        self.batch = FIRST_BATCH
        self._sequence = 0
        self._closed = True
        self._reader: NetlinkReader | None = None
        self._task: _Task | None = None  # what is under way
        self._ended: Deferred[None] | None = None  # its end, when that is waited for

    def open(self) -> None:
        """Open the socket.

        :raises AddressError: the kernel does not give one.
        """
        self._closed = False
        self._asking()

    def close(self) -> None:
        """Close the socket; what is under way and what waits fails."""
        self._closed = True
        self._drop()
        self._lost()

    async def carry_out(self, ask: Callable[[], Sequence[Request]]) -> list[Verdict]:
        """Have requests carried out, in this order and in one batch; how each of them ended.

        :param ask: is called when it is their turn, just before they are sent.
        :raises AddressError: the kernel cannot be asked, or this is closed.
        """
        async with self._lock:
            await self._pace.turn()
            began = self._reactor.seconds()
            requests = ask()
            verdicts = await self._carry_out(requests)
            self._suit(len(requests), self._reactor.seconds() - began)
        return verdicts

    async def listing(self, request: Request, read: Callable[[Message], T | None]) -> list[T]:
        """List; what `read` made of each entry, but for None.

        :raises AddressError: the kernel refuses or does not answer, or this is closed.
        """
        for _ in range(ATTEMPTS):
            async with self._lock:
                await self._pace.turn()
                task = _Listing(self._next(), read)
                await self._finish(task, frame(request, task.sequence))
            if task.refused.errno:
                raise AddressError(f"It does not list them: {task.refused}.", task.refused.errno)
            if not task.lost and not task.interrupted:
                return task.entries
            await deferLater(self._reactor, PAUSE)
        if task.lost:
            raise AddressError("Its answers were lost time and again.", errno.ENOBUFS)
        _log.warn("a listing changed whenever it was read: later news must put it right")
        return task.entries

    def _suit(self, count: int, seconds: float) -> None:
        """Make the next batch as large as fits into a `SLICE`, at most twice as large."""
        fitting = int(SLICE * count / seconds) if seconds > 0 else BATCH
        if count:
            self.batch = max(SMALLEST_BATCH, min(BATCH, 2 * self.batch, fitting))

    async def _carry_out(self, requests: Sequence[Request]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        missing = list(range(len(requests)))
        for _ in range(ATTEMPTS if requests else 0):
            # Asking twice does no harm: what is there is put again, what is gone is gone.
            task = _Batch({self._next(): at for at in missing}, verdicts)
            data = b"".join(frame(requests[at], number) for number, at in task.awaited.items())
            await self._finish(task, data)
            missing = [at for at in range(len(requests)) if at not in verdicts]
            if not missing:
                break
        silence = Verdict(errno.ETIMEDOUT, "the kernel does not answer")
        return [verdicts.get(at, silence) for at in range(len(requests))]

    async def _finish(self, task: _Task, data: bytes) -> None:
        """Send, and wait until the task is over; or its answers are lost."""
        await self._send(data)
        self._task = task
        try:
            # The kernel has answered before `send` was over: no need to wait for a turn. Only a
            # list may be so long that it takes several.
            reader = self._asking()
            reader.read() if isinstance(task, _Listing) else reader.drain()
            if not task.over:
                self._ended = Deferred()
                self._ended.addTimeout(ANSWER_LIMIT, self._reactor)
                try:
                    await self._ended
                except DeferredTimeout:
                    self._lost()
        finally:
            self._task = self._ended = None
        if task.lost:
            # Late answers, and a listing that the kernel has not ended, go with the old socket.
            self._drop()
            self._doubtful()

    async def _send(self, data: bytes) -> None:
        deadline = self._reactor.seconds() + ANSWER_LIMIT
        while True:
            try:
                self._asking().sock.send(data)
            except OSError as error:
                if error.errno not in CROWDED or self._reactor.seconds() >= deadline:
                    raise AddressError(
                        f"It cannot be asked: {error.strerror}.", error.errno or 0
                    ) from error
                await deferLater(self._reactor, PAUSE)
            else:
                return

    def _asking(self) -> NetlinkReader:
        if self._closed:
            raise AddressError("It is not asked: this node has not started, or is stopping.")
        if self._reader is None:
            try:
                sock = self._opened()
            except OSError as error:
                raise AddressError(
                    f"There is no netlink socket: {error.strerror}.", error.errno or 0
                ) from error
            self._reader = NetlinkReader(
                self._reactor, sock, self._pace, self._received, self._lost
            )
        return self._reader

    def _drop(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None

    def _next(self) -> int:
        self._sequence = self._sequence % 0xFFFFFFFF + 1  # 0 is that of the kernel's own news
        return self._sequence

    def _received(self, datagram: memoryview) -> None:
        task = self._task
        if task is None:
            return  # too late for its question
        try:
            for message in split(datagram):
                task.take(message)
        except MalformedMessage as error:
            _log.warn("the kernel's answer cannot be used: {error}", error=error)
            task.lost = True
        self._wake()

    def _lost(self) -> None:
        if self._task:
            self._task.lost = True
        self._wake()

    def _wake(self) -> None:
        ended, task = self._ended, self._task
        if ended and task and task.over:
            self._ended = None
            ended.callback(None)


class _Task(Protocol):
    """A question whose answer comes in several messages."""

    lost: bool

    @property
    def over(self) -> bool: ...

    def take(self, message: Message) -> None: ...


class _Batch:
    """Requests that are acknowledged one by one."""

    def __init__(self, awaited: dict[int, int], verdicts: dict[int, Verdict]) -> None:
        self.awaited = awaited  # sequence number: position
        self.lost = False
        self._verdicts = verdicts

    @property
    def over(self) -> bool:
        return self.lost or not self.awaited

    def take(self, message: Message) -> None:
        if message.kind == ERROR and message.sequence in self.awaited:
            self._verdicts[self.awaited[message.sequence]] = verdict(message)
            del self.awaited[message.sequence]


class _Listing:
    """One request that is answered by many messages.

    :ivar interrupted: what was listed changed meanwhile, so that entries may be missing.
    """

    def __init__(self, sequence: int, read: Callable[[Message], Any]) -> None:
        self.sequence = sequence
        self.entries: list[Any] = []
        self.lost = self.interrupted = self._ended = False
        self.refused = Verdict(0)
        self._read = read

    @property
    def over(self) -> bool:
        return self.lost or self._ended

    def take(self, message: Message) -> None:
        if message.sequence != self.sequence:
            return
        self.interrupted = self.interrupted or bool(message.flags & DUMP_INTERRUPTED)
        if message.kind in (ERROR, DONE):
            self._ended = True
            self.refused = verdict(message)
            return
        entry = self._read(message)
        if entry is not None:
            self.entries.append(entry)
