"""Build script: the metadata is in pyproject.toml, the C sources are listed by npgru/kernels_build.py."""
from setuptools import setup

setup(cffi_modules=["npgru/kernels_build.py:ffibuilder"])
