"""How twistd finds flip."""

from __future__ import annotations

from pathlib import Path

from hamcrest import assert_that, equal_to, has_length, same_instance, starts_with
from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from flip import tap

ROOT = Path(__file__).parent.parent


class PluginTests(SynchronousTestCase):
    """The signpost twisted/plugins/flip_plugin.py."""

    def test_found(self) -> None:
        """twistd finds one command ``flip``, which leads to `flip.tap`."""
        found = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "flip"]
        assert_that(found, has_length(1))
        [maker] = found
        assert isinstance(maker, ServiceMaker)
        assert_that(maker.module, equal_to("flip.tap"))
        assert_that(maker.options, same_instance(tap.Options))
        assert_that(maker.makeService, equal_to(tap.makeService))
        assert_that(maker.description, starts_with("Keeps every data point"))

    def test_no_package(self) -> None:
        """twisted/ holds plugins only: an __init__.py there would hide Twisted itself."""
        for directory in (ROOT / "twisted", ROOT / "twisted" / "plugins"):
            assert_that((directory / "__init__.py").exists(), equal_to(False), str(directory))
        sources = [path.name for path in (ROOT / "twisted").rglob("*.py")]
        assert_that(sources, equal_to(["flip_plugin.py"]))
