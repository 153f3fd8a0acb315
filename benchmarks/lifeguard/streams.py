"""What goes over TCP: a ping where UDP found nobody, and the exchange of whole states."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from benchmarks.lifeguard.messages import Ack, Message, Ping, State, decode, encode
from benchmarks.lifeguard.view import View


class Stream(Int32StringReceiver):
    """One end of a connection: one message each way."""

    def __init__(self, side: Server | _Client) -> None:
        self._side = side

    def connectionMade(self) -> None:
        if not isinstance(self._side, _Client):
            return
        if self._side.answer.called:
            assert self.transport is not None
            self.transport.loseConnection()  # too late
        else:
            self.say(self._side.question)

    def say(self, message: Message) -> None:
        """Send one message."""
        self.sendString(encode(message))

    def stringReceived(self, string: bytes) -> None:
        for message in decode(string):
            self._side.heard(self, message)


class Server(ServerFactory):
    """Answers the streams of others."""

    noisy = False

    def __init__(self, view: View) -> None:
        self._view = view

    def buildProtocol(self, addr: IAddress | None) -> Stream:
        return Stream(self)

    def heard(self, stream: Stream, message: Message) -> None:
        """A question."""
        if isinstance(message, Ping):
            stream.say(Ack(message.seq_no))
        elif isinstance(message, State):
            stream.say(self._view.state())
            self._view.merge(message.nodes)


class _Client(ClientFactory):
    noisy = False

    def __init__(self, question: Message) -> None:
        self.question = question
        self.answer: Deferred[Message | None] = Deferred()
        self.expiry: IDelayedCall | None = None
        self._stream: Stream | None = None

    def buildProtocol(self, addr: IAddress | None) -> Stream:
        self._stream = Stream(self)
        return self._stream

    def heard(self, stream: Stream, message: Message) -> None:
        self._end(message)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._end(None)

    def expire(self) -> None:
        self._end(None)

    def _end(self, answer: Message | None) -> None:
        if self._stream is not None and self._stream.transport is not None:
            self._stream.transport.loseConnection()
        if self.expiry is not None and self.expiry.active():
            self.expiry.cancel()
        if not self.answer.called:
            self.answer.callback(answer)


def ask(
    reactor: Any,
    address: tuple[str, int],
    question: Message,
    seconds: float,
) -> Deferred[Message | None]:
    """Ask over TCP; fires with the answer, with None when there was none in time."""
    client = _Client(question)
    client.expiry = reactor.callLater(seconds, client.expire)
    reactor.connectTCP(*address, client, timeout=seconds)
    return client.answer
