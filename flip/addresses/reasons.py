"""What the kernel's errors mean for an operator."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from flip.addresses.kernel import Address
from flip.addresses.messages import Verdict
from flip.errors import AddressError
from flip.hooks.failure import CAPABILITIES


def refusal(address: Address, verdict: Verdict) -> AddressError:
    """Why a change of an address was refused."""
    return AddressError(f"{address}: {_reason(address, verdict)}.", verdict.errno)


def no_interface(address: Address, here: Iterable[str]) -> AddressError:
    """An address cannot be put on an interface that is not there."""
    names = ", ".join(sorted(here)) or "none"
    return AddressError(f"{address}: there is no such interface here, only: {names}.", errno.ENODEV)


def other_prefix(address: Address, there: Address) -> AddressError:
    """An IPv6 address cannot be on an interface twice, with two prefix lengths."""
    return AddressError(
        f"{address}: {there} is in the way; remove that, or name it like that in the data.",
        errno.EEXIST,
    )


def too_late(address: Address) -> AddressError:
    """An address must not be put: it would have to go within a second."""
    return AddressError(f"{address}: it would have to be gone within a second.", errno.ETIME)


def _reason(address: Address, verdict: Verdict) -> str:
    name = address.interface
    match verdict.errno:
        case errno.EPERM:
            return f"CAP_NET_ADMIN is missing: {CAPABILITIES}"
        case errno.EACCES if address.version == 6:
            return f"IPv6 is disabled on {name} (sysctl -w net.ipv6.conf.{name}.disable_ipv6=0)"
        case errno.ENODEV:
            return f"{name} has gone away"
        case errno.ENOBUFS | errno.ENOMEM:
            return f"the kernel has no memory for it just now ({verdict})"
        case errno.EAFNOSUPPORT | errno.EOPNOTSUPP if address.version == 6:
            return f"this kernel has no IPv6 ({verdict})"
    return str(verdict)
