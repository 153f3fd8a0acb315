"""`ip_up` and `ip_down` with a fake `ip` and a fake `ifconfig`.

For `ifconfig` this is all the test there is; tests/network has real addresses for `ip`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory

from hamcrest import assert_that, contains_string, equal_to, matches_regexp, starts_with
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.hooks import OWN
from flip.hooks import linux, tool
from flip.hooks.command import main
from tests.matchers import all_of

CONFIG = json.dumps({"interface": "em0"})
FREEBSD = """\
em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tether 58:9c:fc:00:00:01
\tinet 192.0.2.10 netmask 0xffffff00 broadcast 192.0.2.255
\tinet 192.0.2.1 netmask 0xffffffff broadcast 192.0.2.1
\tinet6 fe80::1%em0 prefixlen 64 scopeid 0x1
\tinet6 2001:db8::1 prefixlen 128
\tmedia: Ethernet autoselect (1000baseT <full-duplex>)
\tstatus: active
"""
NETBSD = """\
em0: flags=0x8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet 192.0.2.1/32 flags 0
"""
DOWN = "ip_up: the interface em0 is down (ip link set em0 up)\n"
ONE_LINE = matches_regexp(r"\A[^\n]+\n\Z")  # what an operator reads in a log
LINK = "2: em0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP"


class FakeToolCase(SynchronousTestCase):
    """A directory on PATH with tools that note what they are asked."""

    platform = "linux"

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.bin = Path(directory.name)
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.bin}:/usr/bin:/bin"})
        self.patch(tool, "ELSEWHERE", ())

    def fake(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {self.bin}/asked\n{script}\n')
        path.chmod(0o755)

    def asked(self) -> list[str]:
        path = self.bin / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def run_hook(self, event: str, datum: str, config: str = CONFIG) -> tuple[int, str]:
        errors = io.StringIO()
        with redirect_stderr(errors):
            status = main(event, [datum, config], self.platform)
        return status, errors.getvalue()


class IfconfigTests(FakeToolCase):
    """macOS and the BSDs."""

    platform = "freebsd14"

    def describe(self, description: str = FREEBSD, script: str = "") -> None:
        (self.bin / "description").write_text(description)
        self.fake("ifconfig", f"if [ $# = 1 ]; then cat {self.bin}/description; exit; fi\n{script}")

    def test_up(self) -> None:
        """An address is added, always: that is how these systems announce it again."""
        self.describe()
        for datum, command in (
            ("192.0.2.1", "em0 inet 192.0.2.1 netmask 255.255.255.255 alias"),
            ("192.0.2.2/24", "em0 inet 192.0.2.2 netmask 255.255.255.0 alias"),
            ("2001:db8::2", "em0 inet6 2001:db8::2 prefixlen 128 pltime 0 alias"),
            ("2001:db8::2/64", "em0 inet6 2001:db8::2 prefixlen 64 alias"),
        ):
            assert_that(self.run_hook("up", datum), equal_to((0, "")))
            assert_that(self.asked()[-1], equal_to(command))

    def test_down(self) -> None:
        """An address is removed if it is there, whatever the system's way to print it."""
        for description in (FREEBSD, NETBSD):
            self.describe(description)
            assert_that(self.run_hook("down", "192.0.2.1"), equal_to((0, "")))
            assert_that(self.asked()[-1], equal_to("em0 inet 192.0.2.1 -alias"))
        self.describe()
        assert_that(self.run_hook("down", "2001:db8:0::1"), equal_to((0, "")))
        assert_that(self.asked()[-1], equal_to("em0 inet6 2001:db8::1 -alias"))

    def test_down_twice(self) -> None:
        """An address that is not there needs no removal."""
        self.describe()
        for datum in ("192.0.2.3", "2001:db8::3"):
            assert_that(self.run_hook("down", datum), equal_to((0, "")))
        assert_that(self.asked(), equal_to(["em0", "em0"]))

    def test_up_twice(self) -> None:
        """Some systems call it an error to add what is there."""
        self.describe(script="echo 'ifconfig: ioctl (SIOCAIFADDR): File exists' >&2; exit 1")
        assert_that(self.run_hook("up", "192.0.2.1"), equal_to((0, "")))

    def test_no_privilege(self) -> None:
        """Who may not gets told what lacks."""
        self.describe(script="echo 'ifconfig: ioctl (SIOCAIFADDR): permission denied' >&2; exit 1")
        status, errors = self.run_hook("up", "192.0.2.1")
        assert_that(status, equal_to(1))
        assert_that(errors, all_of(contains_string("run flip as root"), ONE_LINE))

    def test_no_interface(self) -> None:
        """Nothing can be up on an interface that is not there; everything is down."""
        self.fake("ifconfig", "echo 'ifconfig: interface em0 does not exist' >&2; exit 1")
        status, errors = self.run_hook("up", "192.0.2.1")
        assert_that(status, equal_to(2))
        assert_that(errors, contains_string("there is no interface em0 here"))
        status, errors = self.run_hook("down", "192.0.2.1")
        assert_that(status, equal_to(0))
        assert_that(errors, contains_string("there is no interface em0 here"))

    def test_interface_cannot_serve(self) -> None:
        """An interface that is down, or without a carrier, would make a black hole."""
        self.describe(FREEBSD.replace("<UP,", "<"))
        assert_that(self.run_hook("up", "192.0.2.1")[1], contains_string("em0 is down"))
        self.describe(FREEBSD.replace("status: active", "status: no carrier"))
        assert_that(self.run_hook("up", "192.0.2.1")[1], contains_string("no carrier"))


class IpTests(FakeToolCase):
    """What `ip` may answer that a test cannot provoke."""

    def setUp(self) -> None:
        super().setUp()
        self.announced: list[tuple[str, str]] = []
        self.patch(
            linux, "announce", lambda name, address: self.announced.append((name, str(address)))
        )

    def links(self, link: str, script: str = "*) :") -> None:
        self.fake("ip", f'case "$*" in *link*) echo "{link}";; {script};; esac')

    def test_not_installed(self) -> None:
        """The package is named."""
        self.patch(os, "environ", {"PATH": str(self.bin)})
        status, errors = self.run_hook("up", "192.0.2.1")
        assert_that(status, equal_to(1))
        assert_that(errors, all_of(contains_string("apt install iproute2"), ONE_LINE))

    def test_found_in_sbin(self) -> None:
        """An ordinary user's PATH lacks /sbin."""
        self.links(LINK)
        self.patch(os, "environ", {"PATH": "relative:"})
        self.patch(tool, "ELSEWHERE", ("/nonesuch", str(self.bin)))
        assert_that(self.run_hook("down", "192.0.2.1"), equal_to((0, "")))

    def test_up(self) -> None:
        """IPv6 addresses skip duplicate detection; a /128 is never a source."""
        for datum, text, command in (
            ("192.0.2.1", "inet 192.0.2.1/32", "addr replace 192.0.2.1/32 dev em0"),
            (
                "2001:db8::1",
                "inet6 2001:db8::1/128",
                "addr replace 2001:db8::1/128 dev em0 nodad preferred_lft 0",
            ),
            (
                "2001:db8::1/64",
                "inet6 2001:db8::1/64",
                "addr replace 2001:db8::1/64 dev em0 nodad",
            ),
        ):
            self.links(LINK, f'*show*) echo "2: em0 {text} scope global em0"')
            assert_that(self.run_hook("up", datum), equal_to((0, "")))
            assert_that(self.asked()[-2], equal_to(command))
            assert_that(self.announced[-1], equal_to(("em0", text.split()[1])))

    def test_other_names_of_an_interface(self) -> None:
        """The name that the kernel prints counts, without the `@` of a veth or VLAN."""
        self.links("7: em0.5@em0: <BROADCAST,UP,LOWER_UP> mtu 1500")
        config = json.dumps({"interface": "vlan-five"})
        self.run_hook("up", "192.0.2.1", config)
        assert_that(self.asked()[0], equal_to("-o link show dev vlan-five"))
        assert_that(self.asked()[1], equal_to("addr replace 192.0.2.1/32 dev em0.5"))

    def test_interface_cannot_serve(self) -> None:
        """An interface that is down, or without a carrier, would make a black hole."""
        self.links("2: em0: <BROADCAST,MULTICAST> mtu 1500")
        assert_that(self.run_hook("up", "192.0.2.1"), equal_to((1, DOWN)))
        self.links("2: em0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500")
        assert_that(self.run_hook("up", "192.0.2.1")[1], contains_string("has no carrier"))
        assert_that(self.run_hook("down", "192.0.2.1"), equal_to((0, "")))

    def test_not_announced(self) -> None:
        """The address is up, so the hook has ended well, but it says what neighbours do."""
        self.links(LINK, '*show*) echo "2: em0 inet 192.0.2.1/32 scope global em0"')

        def refuse(name: str, address: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(linux, "announce", refuse)
        status, errors = self.run_hook("up", "192.0.2.1")
        assert_that(status, equal_to(0))
        assert_that(
            errors,
            all_of(contains_string("NOT ANNOUNCED"), contains_string("CAP_NET_RAW"), ONE_LINE),
        )

    def test_refused_by_the_kernel(self) -> None:
        """Whatever else `ip` complains about is passed on, with the command."""
        self.links(LINK, "*replace*) echo 'Error: whatever.' >&2; echo more >&2; exit 2")
        status, errors = self.run_hook("up", "192.0.2.1")
        assert_that(status, equal_to(1))
        expected = "'ip addr replace 192.0.2.1/32 dev em0' failed with status 2: Error: whatever."
        assert_that(errors, equal_to(f"ip_up: {expected}\n"))


class ScriptTests(SynchronousTestCase):
    """The executables themselves."""

    def test_they_run_alone(self) -> None:
        """Isolated, without site-packages, from anywhere, they find their modules."""
        for name in ("ip_up", "ip_down"):
            done = subprocess.run(
                [sys.executable, "-IS", OWN / name, "x", "{}"],
                capture_output=True,
                text=True,
                cwd="/",
                env={},
                check=False,
            )
            assert_that(done.returncode, equal_to(2))
            assert_that(done.stderr, starts_with(f"{name}: the datum 'x' is no address"))

    def test_shebang(self) -> None:
        """By hand they run too."""
        for name in ("ip_up", "ip_down"):
            assert_that((OWN / name).read_text(), starts_with("#!/usr/bin/env -S python3 -IS\n"))
            assert_that(os.access(OWN / name, os.X_OK))

    def test_imports(self) -> None:
        """Nothing that takes long to import: they run once per address of a failover."""
        script = "import sys; import flip.hooks.command, flip.hooks.linux; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-SE", "-c", script],
            capture_output=True,
            text=True,
            cwd=OWN.parent.parent,
            check=True,
        )
        slow = {"twisted", "typing", "dataclasses", "inspect", "shutil", "asyncio", "logging"}
        assert_that(slow & set(done.stdout.split()), equal_to(set()))
