"""Where hooks are looked for, and what is said of those that cannot run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hamcrest import assert_that, contains_string, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import HookNotFound
from flip.holdings.hooks import OWN, Hook, find_hook
from tests.matchers import all_of, not_

SCRIPT = "#!/bin/sh\nexit 0\n"


class FindHookTests(SynchronousTestCase):
    """`find_hook` looks in five kinds of places, in order."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(os.path.realpath(directory.name))
        self.base, self.hook_dir, self.bin = (self.root / name for name in ("etc", "hooks", "bin"))
        for path in (self.base, self.hook_dir, self.bin):
            path.mkdir()

    def find(self, hook: str) -> Hook:
        return find_hook(hook, base=self.base, hook_dir=self.hook_dir, path=str(self.bin))

    def refusal(self, hook: str) -> str:
        return str(self.assertRaises(HookNotFound, self.find, hook))

    def write(self, path: Path, text: str = SCRIPT, mode: int = 0o755) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_order(self) -> None:
        """First beside the configuration, then `hook_dir`, then PATH, flip's own last."""
        own = self.find("ip_up")
        assert_that(own, equal_to(Hook("ip_up", (sys.executable, "-IS", str(OWN / "ip_up")))))
        for directory in (self.bin, self.hook_dir, self.base):
            path = self.write(directory / "ip_up")
            assert_that(self.find("ip_up"), equal_to(Hook("ip_up", (str(path),))))

    def test_absolute_path(self) -> None:
        """An absolute path is looked for nowhere else."""
        path = self.write(self.root / "elsewhere")
        assert_that(self.find(str(path)).argv, equal_to((str(path),)))
        assert_that(self.refusal(f"{path}.no"), not_(contains_string("hooks")))

    def test_relative_path(self) -> None:
        """A path with a slash is relative to the configuration or `hook_dir`, never on PATH."""
        self.write(self.bin / "sub" / "up")
        assert_that(self.refusal("sub/up"), not_(contains_string(str(self.bin))))
        path = self.write(self.hook_dir / "sub" / "up")
        assert_that(self.find("sub/up").argv, equal_to((str(path),)))
        path = self.write(self.base / "sub" / "up")
        assert_that(self.find("sub/up").argv, equal_to((str(path),)))
        assert_that(self.find("../etc/sub/up").argv, equal_to((str(path),)))

    def test_relative_configuration(self) -> None:
        """What is found stays found when the daemon changes its directory."""
        self.write(self.base / "up")
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.root)
        hook = find_hook("up", base=Path("etc"), hook_dir=None, path="")
        assert_that(hook.argv, equal_to((str(self.base / "up"),)))

    def test_relative_entries_of_path(self) -> None:
        """PATH's relative and empty entries are not searched."""
        self.write(self.bin / "up")
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.bin)
        self.assertRaises(
            HookNotFound, find_hook, "up", base=self.base, hook_dir=None, path=".::../bin"
        )

    def test_nowhere(self) -> None:
        """The error names every place."""
        places = (self.base, self.hook_dir, self.bin, OWN)
        assert_that(
            self.refusal("nonesuch"),
            all_of(*(contains_string(f"{place}/nonesuch does not exist") for place in places)),
        )

    def test_not_executable(self) -> None:
        """The error says how to mend it; another hook of that name does not stand in."""
        path = self.write(self.hook_dir / "ip_up", mode=0o644)
        assert_that(self.refusal("ip_up"), contains_string(f"chmod +x {path}"))

    def test_not_executable_on_path(self) -> None:
        """On PATH, as for a shell, a file that cannot be executed is passed over."""
        self.write(self.bin / "ip_up", mode=0o644)
        assert_that(self.find("ip_up").argv[-1], equal_to(str(OWN / "ip_up")))

    def test_directory(self) -> None:
        """A directory of that name is passed over, and named if nothing else is found."""
        (self.base / "up").mkdir()
        assert_that(self.refusal("up"), contains_string(f"{self.base}/up is a directory"))
        path = self.write(self.hook_dir / "up")
        assert_that(self.find("up").argv, equal_to((str(path),)))

    def test_special_file(self) -> None:
        """A FIFO would block the daemon."""
        os.mkfifo(self.base / "up", 0o755)
        assert_that(self.refusal("up"), contains_string("is not a regular file"))

    def test_dangling_link(self) -> None:
        """A link to nowhere names its target."""
        (self.base / "up").symlink_to("/nonesuch/up")
        assert_that(self.refusal("up"), contains_string("is a link to /nonesuch/up, which does"))

    def test_loop_of_links(self) -> None:
        """A link to itself is an error like others."""
        (self.base / "up").symlink_to("up")
        assert_that(self.refusal("up"), contains_string("cannot be looked at"))

    def test_link(self) -> None:
        """A link is run by its own name: programs with many names look at theirs."""
        self.write(self.root / "many")
        (self.base / "up").symlink_to("../many")
        assert_that(self.find("up").argv, equal_to((str(self.base / "up"),)))

    def test_no_shebang(self) -> None:
        """A script without #! would fail at the failover (ENOEXEC)."""
        self.write(self.base / "up", "echo hello\n")
        assert_that(self.refusal("up"), contains_string("without a first line like #!/bin/sh"))

    def test_empty(self) -> None:
        """So would an empty file."""
        self.write(self.base / "up", "")
        assert_that(self.refusal("up"), contains_string("is empty"))

    def test_missing_interpreter(self) -> None:
        """The kernel would say that the hook does not exist, which is puzzling."""
        self.write(self.base / "up", "#!/nonesuch/python -u\n")
        assert_that(
            self.refusal("up"), contains_string("needs the interpreter /nonesuch/python, which")
        )

    def test_windows_lines(self) -> None:
        """A CR belongs to the interpreter's name, invisibly."""
        self.write(self.base / "up", "#!/bin/sh\r\nexit 0\r\n")
        assert_that(self.refusal("up"), contains_string("end in CR LF"))

    def test_relative_interpreter(self) -> None:
        """`#!python` runs only from one directory."""
        self.write(self.base / "up", "#!python\n")
        assert_that(self.refusal("up"), contains_string("'python', which is not an absolute path"))

    def test_binary(self) -> None:
        """A program needs no #! line."""
        (self.base / "up").symlink_to(os.path.realpath(sys.executable))
        assert_that(self.find("up").name, equal_to("up"))

    def test_own_modules_are_no_hooks(self) -> None:
        """flip's own directory also holds what is no hook."""
        for name in ("__init__.py", "frames.py", "__pycache__", "."):
            self.assertRaises(HookNotFound, self.find, name)

    def test_nonsense(self) -> None:
        """No name, and a name that no file can have, are errors and no crash."""
        for name in ("", "\0", "a\0b", "x" * 5000, "\udc80", "\ud800", "new\nline"):
            self.assertRaises(HookNotFound, self.find, name)


class UnprivilegedFindHookTests(SynchronousTestCase):
    """What root cannot see: permissions."""

    if os.geteuid() == 0:
        skip = "root may execute whatever anybody may"

    def test_not_for_this_user(self) -> None:
        """A hook that only others may execute is refused, with the mode."""
        with TemporaryDirectory() as directory:
            path = Path(directory, "up")
            path.write_text(SCRIPT)
            path.chmod(0o611)
            error = self.assertRaises(
                HookNotFound, find_hook, "up", base=Path(directory), hook_dir=None, path=""
            )
            assert_that(str(error), contains_string("may not be executed by user"))
