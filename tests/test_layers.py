"""Imports point down the layers, and time, chance and the reactor come in from above.

docs/design.md has the layers. What is read here is the source, not what a run
happens to import, so that a late import inside a function is seen as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from hamcrest import assert_that, empty, equal_to, greater_than, has_item
from twisted.trial.unittest import SynchronousTestCase

from tests.matchers import has_items

ROOT = Path(__file__).parent.parent
FLIP = ROOT / "flip"
LARGEST = 350  # lines of a module

# What a layer may import of flip, beside itself. errors and log lie below all of them.
BASE = {"flip", "flip.errors", "flip.log"}
LAYERS: dict[str, set[str]] = {
    "flip.errors": set(),
    "flip.log": set(),
    "flip.addresses": {"flip.hooks"},  # for its frames
    "flip.realtime": set(),
    "flip.config": set(),
    "flip.wire": {"flip.config"},
    "flip.membership": {"flip.config", "flip.wire"},
    "flip.allocation": {"flip.config"},
    "flip.holdings": {
        "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
        "flip.realtime",
    },
    "flip.control": {
        "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
        "flip.holdings",
    },
    "flip.node": {
        "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
        "flip.holdings",
        "flip.control",
    },
    "flip.tap": {
        "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
        "flip.holdings",
        "flip.control", "flip.node", "flip.realtime",
    },
    "flip.simulation": {
        "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
        "flip.holdings",
        "flip.control", "flip.node",
    },
}  # fmt: skip
ABOVE_ALL = {"flip.cli", "flip.demo"}  # what people type may ask for anything
ALONE = {"flip.hooks"}  # run by the system's python, not as a part of flip
TOP = {"flip"}  # flip/__init__.py

# Below control, time and chance are arguments: what reads them at import or by
# itself could not run on a virtual clock.
ON_VIRTUAL_TIME = {
    "flip.addresses", "flip.config", "flip.wire", "flip.membership", "flip.allocation",
    "flip.holdings",
}  # fmt: skip
CLOCKS = {
    "time.time", "time.monotonic", "time.sleep", "time.clock_gettime", "time.perf_counter",
    "time.time_ns", "time.monotonic_ns", "datetime.datetime.now", "datetime.datetime.utcnow",
    "datetime.date.today",
}  # fmt: skip
# The main module of a process of its own: nobody lies above it who could pass it a clock.
MAIN_OF_GUARD = "flip.holdings.guard.__main__"
CLASSES_OF_CHANCE = {"random.Random", "random.SystemRandom"}

# These own the process they run in: the global reactor is theirs.
REACTOR_IN_FUNCTIONS = {"flip.tap", "flip.demo", "flip.cli"}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    """Every module of flip: its dotted name, its file, its source."""
    for path in sorted(FLIP.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path, ast.parse(path.read_text(), str(path))


def layer(name: str) -> str:
    """The layer of a module: the first two parts of its name."""
    return ".".join(name.split(".")[:2])


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The dotted names that are imported anywhere in a tree, and where.

    What only type checkers read is left out: nothing depends on it when flip runs.
    """
    for node in to_run(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def to_run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but for those that are only for type checkers."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not for_type_checkers(node):
            yield from to_run(node)


def outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported, type checkers' branches left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (
                default for default in [*node.args.defaults, *node.args.kw_defaults] if default
            )
        elif not for_type_checkers(node):
            yield node
            yield from outside_functions(node)


def used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The dotted names that a module uses, written out in full, and where."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            if first in names:
                yield ".".join(filter(None, (names[first], rest))), node.lineno


class LayerTests(SynchronousTestCase):
    """The table of layers."""

    def test_every_module_has_a_layer(self) -> None:
        """A new part of flip takes its place in the table."""
        known = set(LAYERS) | ABOVE_ALL | ALONE | TOP
        found = {layer(name) for name, _, _ in modules()}
        assert_that(found - known, empty())
        assert_that(
            found, has_items("flip.config", "flip.wire", "flip.membership", "flip.holdings")
        )

    def test_downwards(self) -> None:
        """Nothing imports what lies above it, not even late."""
        upward = []
        for name, path, tree in modules():
            here = layer(name)
            if here in ABOVE_ALL:
                continue
            allowed = {here} | (set() if here in ALONE else BASE | LAYERS.get(here, set()))
            for target, line in imported(tree):
                if target.split(".")[0] == "flip" and not self.within(target, allowed):
                    upward.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
        assert_that(upward, empty())

    def within(self, target: str, allowed: set[str]) -> bool:
        """Whether an import is of one of these: ``flip.__version__`` is of ``flip`` itself."""
        if layer(target) in allowed:
            return True
        is_a_module = (FLIP / target.split(".")[1]).exists() or (
            FLIP / f"{target.split('.')[1]}.py"
        ).exists()
        return "flip" in allowed and not is_a_module

    def test_hooks_stand_alone(self) -> None:
        """Hooks that are no modules import nothing else of flip either."""
        scripts = [path for path in (FLIP / "hooks").glob("ip_*") if path.suffix != ".py"]
        assert_that(scripts, has_item(FLIP / "hooks" / "ip_up"))
        found = []
        for path in scripts:
            text = path.read_text()
            if "python" in text.splitlines()[0]:
                found += [
                    f"{path.name}: {target}"
                    for target, _ in imported(ast.parse(text))
                    if target.split(".")[0] == "flip" and layer(target) not in ALONE
                ]
        assert_that(found, empty())

    def test_guard_is_small(self) -> None:
        """The guard's process imports nothing but Python's own library, however indirectly."""
        trees = {name: tree for name, _, tree in modules()}
        reached, waiting, foreign = set(), [MAIN_OF_GUARD], []
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            for target, line in imported(trees[name]):
                module = target if target in trees else target.rpartition(".")[0]
                if module in trees and module != "flip":
                    waiting.append(module)
                elif target.split(".")[0] not in sys.stdlib_module_names | {"flip"}:
                    foreign.append(f"{name}:{line} imports {target}")
        assert_that(foreign, empty())
        assert_that(reached, has_items("flip.holdings.guard.sentry", "flip.holdings.call"))


class SurroundingsTests(SynchronousTestCase):
    """The reactor, the clock and chance."""

    def test_reactor(self) -> None:
        """The global reactor is nobody's at import, and only the process's owner's at all."""
        found = []
        for name, path, tree in modules():
            lines = [line for target, line in imported(tree) if target.endswith("internet.reactor")]
            at_import = {
                line
                for node in outside_functions(tree)
                if isinstance(node, ast.Import | ast.ImportFrom)
                for target, line in imported(node)
                if target.endswith("internet.reactor")
            }
            owner = layer(name) in REACTOR_IN_FUNCTIONS
            found += [
                f"{path.relative_to(ROOT)}:{line}"
                for line in lines
                if line in at_import or not owner
            ]
        assert_that(found, empty())

    def test_time_and_chance(self) -> None:
        """Below control both come in by the constructor."""
        found = []
        for name, path, tree in modules():
            if layer(name) not in ON_VIRTUAL_TIME or name == MAIN_OF_GUARD:
                continue
            for target, line in used(tree):
                of_chance = target.startswith(("random.", "secrets.", "uuid.")) or (
                    target == "os.urandom"
                )
                if target in CLOCKS or (of_chance and target not in CLASSES_OF_CHANCE):
                    found.append(f"{path.relative_to(ROOT)}:{line} uses {target}")
        assert_that(found, empty())

    def test_what_is_looked_for(self) -> None:
        """The reading of names finds what it should, however it was imported."""
        source = "import random as r\nfrom time import time as now\nx = r.choice\ny = now()\n"
        names = {name for name, _ in used(ast.parse(source))}
        assert_that(names, has_items("random.choice", "time.time"))
        source = "def f(x=1):\n    from twisted.internet import reactor\nif A:\n    import b\n"
        lines = [
            n.lineno for n in outside_functions(ast.parse(source)) if isinstance(n, ast.Import)
        ]
        assert_that(lines, equal_to([4]))


class ShapeTests(SynchronousTestCase):
    """Modules and packages."""

    def test_size(self) -> None:
        """A module fits into a head."""
        sizes = {
            str(path.relative_to(ROOT)): len(path.read_text().splitlines())
            for _, path, _ in modules()
        }
        assert_that(len(sizes), greater_than(40))
        assert_that({name: size for name, size in sizes.items() if size > LARGEST}, empty())

    def test_plugin_is_a_signpost(self) -> None:
        """``twisted/plugins`` is Twisted's: an __init__.py there would hide its own plugins."""
        assert_that(list((ROOT / "twisted").rglob("__init__.py")), empty())
        assert_that((ROOT / "twisted" / "plugins" / "flip_plugin.py").exists(), equal_to(True))

    def test_docstrings(self) -> None:
        """Every module says what it is for."""
        silent = [name for name, _, tree in modules() if not ast.get_docstring(tree)]
        assert_that(silent, empty())
