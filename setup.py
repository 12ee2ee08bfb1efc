"""Packaging of the TokenChain toolkit."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Lines of one file of ``tools/requirements``, without comments."""
    lines = (ROOT / "tools" / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def version() -> str:
    """The package's ``__version__``, read without importing the package."""
    tree = ast.parse((ROOT / "tokenchain_toolkit" / "__init__.py").read_text(encoding="utf-8"))
    values = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    return ast.literal_eval(values[0])


setup(
    name="tokenchain-toolkit",
    version=version(),
    description="A machine speech chain over discrete speech tokens (arXiv 2510.06201)",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["tokenchain_toolkit*"]),
    package_data={"tokenchain_toolkit.report": ["templates/*", "paper_tables.yaml"]},
    python_requires=">=3.10,<3.13",
    install_requires=requirements("run"),
    extras_require={name: requirements(name) for name in ("dev", "demo", "codecs", "metrics")},
)
