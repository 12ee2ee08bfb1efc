"""Packaging of the TokenChain toolkit."""

from setuptools import find_packages, setup

setup(name="tokenchain-toolkit", packages=find_packages(include=["tokenchain_toolkit*"]))
