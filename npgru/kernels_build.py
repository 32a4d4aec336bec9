"""cffi builder of npgru._kernels (API mode).

The declarations are read out of the headers in csrc/, so nothing is declared twice. A machine
without a C compiler installs the package all the same: the extension is optional, and
`npgru.kernels` says once what is missing.
"""
import re
import sys
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ["csrc/npgru_int8.h", "csrc/host/npgru_host.h", "csrc/train/npgru_train.h"]    # for Python; the others are private
SOURCES = sorted(path.relative_to(ROOT).as_posix()
                 for folder in ("csrc", "csrc/host", "csrc/train") for path in (ROOT / folder).glob("*.c"))

# sqrtf without errno, and comparisons that raise no flag, can be vector instructions; no result changes
FLAGS = ["-O3", "-std=c99", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-pthread"]


def declarations(header):
    """Text of a C header -> what cffi's cdef accepts: no comments, preprocessor lines or extern "C"."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.MULTILINE)
    return re.sub(r'extern "C" \{(.*)\}', r"\1", text, flags=re.DOTALL)


ffibuilder = FFI()
for name in HEADERS:
    ffibuilder.cdef(declarations((ROOT / name).read_text(encoding="utf-8")))
ffibuilder.set_source(
    "npgru._kernels",
    "".join(f'#include "{Path(name).relative_to("csrc").as_posix()}"\n' for name in HEADERS),
    sources=SOURCES,
    include_dirs=["csrc"],
    depends=sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*.h")),
    extra_compile_args=[] if sys.platform == "win32" else FLAGS,
    extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
    optional=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
