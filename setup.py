"""Packaging of flip.

``package_dir`` makes an editable install a plain path entry: twisted.plugin
looks for plugins only in the directories of sys.path, so the import hook that
setuptools installs otherwise would hide ``twistd flip``.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="flip",
    version="0.1.0",
    description="Keeps every data point of a cluster on exactly the node that should have it",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the flip authors",
    license="MIT",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: System :: Clustering",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    package_dir={"": "."},
    packages=[*find_packages(include=["flip", "flip.*"]), "twisted.plugins"],
    package_data={"flip.hooks": ["ip_up", "ip_down"], "flip": ["py.typed"]},
    install_requires=[
        "Twisted>=24.3",
        "cryptography>=42",
        "jsonschema>=4.18",
        "msgspec>=0.18",
        "rich>=13",
        "service-identity",
    ],
    extras_require={
        "https": ["pyOpenSSL"],
        "dev": ["PyHamcrest", "hypothesis", "mypy", "mypy-zope", "ruff", "types-jsonschema"],
    },
    entry_points={"console_scripts": ["flip = flip.cli:main"]},
    zip_safe=False,
)
