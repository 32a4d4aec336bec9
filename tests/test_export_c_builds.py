"""The files of an exported folder for build systems: CMake as others use it; Zephyr, ESP-IDF and Arduino with stand-ins."""
import json
import os
import re
import shutil
import subprocess

import kconfiglib
import pytest
import yaml
from test_export_c import WARNINGS, student  # noqa: F401 (fixture)

import npgru

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
MAIN = ('#include "npgru.h"\nstatic npgru c;\n'
        "int main(void) { return (int)npgru_init(&c, sizeof c, NPGRU_CLIPS); }\n")


@pytest.fixture(scope="module")
def cmake():
    """Absent: the test is skipped, but on CI (CI=true) it fails."""
    if not shutil.which("cmake"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("cmake not found; on Debian: apt install cmake")


def project(folder, lists, *args):
    """A CMake project with one program, made and run."""
    folder.mkdir()
    (folder / "main.c").write_text(MAIN)
    (folder / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.14)\nproject(foreign C)\n{lists}\n"
                                           "add_executable(program main.c)\ntarget_link_libraries(program npgru::npgru)\n")
    run("cmake", "-S", folder, "-B", folder / "build", *args)
    run("cmake", "--build", folder / "build", "-j2")
    run(folder / "build" / "program")


def run(*command):
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert process.returncode == 0 and "warning" not in process.stderr.lower(), process.stdout + process.stderr
    return process.stdout


def test_a_foreign_cmake_project(student, cmake, tmp_path):
    """As a folder of its own, fetched, and installed and found; without a part, which its caller must know too."""
    fetched = f"include(FetchContent)\nFetchContent_Declare(npgru SOURCE_DIR {student[1]})\nFetchContent_MakeAvailable(npgru)"
    project(tmp_path / "fetched", fetched)
    project(tmp_path / "added", f"add_subdirectory({student[1]} npgru)\ntarget_compile_definitions(npgru PUBLIC NPGRU_WITH_CONTINUOUS=0)")
    run("cmake", "--install", tmp_path / "fetched" / "build", "--prefix", tmp_path / "prefix")
    project(tmp_path / "found", "find_package(npgru REQUIRED)", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")


def test_cmake_of_the_folder_itself(student, cmake, tmp_path):
    run("cmake", "-S", student[1], "-B", tmp_path, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    run("cmake", "--build", tmp_path, "-j2")
    assert (tmp_path / "npgru_wav").exists()


ZEPHYR = """
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGV})
endfunction()
function(zephyr_compile_definitions)
  add_compile_definitions(${ARGV})
  target_compile_definitions(zephyr_interface INTERFACE ${ARGV})
endfunction()
set(CONFIG_NPGRU y)
add_subdirectory(FOLDER/zephyr npgru_zephyr)
add_library(npgru::npgru ALIAS zephyr_interface)
link_libraries(npgru)
"""
IDF = """
set(ESP_PLATFORM 1)
macro(idf_component_register)
  cmake_parse_arguments(_ "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  set(COMPONENT_LIB npgru)
  add_library(npgru STATIC ${__SRCS})
  target_include_directories(npgru PUBLIC ${__INCLUDE_DIRS})
endmacro()
add_subdirectory(FOLDER npgru)
add_library(npgru::npgru ALIAS npgru)
"""


@pytest.mark.parametrize("functions", [ZEPHYR, IDF], ids=["zephyr", "esp-idf"])
def test_the_cmake_files_of_zephyr_and_esp_idf(functions, student, cmake, tmp_path):
    """With stand-ins for the functions of theirs that are called."""
    project(tmp_path / "project", functions.replace("FOLDER", str(student[1])))


def test_zephyrs_module(student):
    build = yaml.safe_load((student[1] / "zephyr" / "module.yml").read_text())["build"]
    assert (student[1] / build["cmake"] / "CMakeLists.txt").is_file()
    config = kconfiglib.Kconfig(student[1] / build["kconfig"], warn_to_stderr=False)
    assert not config.warnings and config.syms["NPGRU_CONTINUOUS"].str_value == "n"
    config.syms["NPGRU"].set_value("y")
    assert config.syms["NPGRU_CONTINUOUS"].str_value == "y"
    used = set(re.findall(r"CONFIG_(\w+)", (student[1] / "zephyr" / "CMakeLists.txt").read_text()))
    assert used == {"NPGRU", "NPGRU_CONTINUOUS"} <= set(config.syms)


def test_manifests(student):
    """They agree, and name files that are there; Arduino and PlatformIO compile all of src/, which holds no main."""
    folder = student[1]
    library = json.loads((folder / "library.json").read_text())
    component = yaml.safe_load((folder / "idf_component.yml").read_text())
    arduino = dict(line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines())
    assert {library["version"], component["version"], arduino["version"]} == {npgru.__version__}
    assert library["headers"] == arduino["includes"] and (folder / "src" / library["headers"]).is_file()
    assert arduino.keys() >= {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "architectures"}
    assert all((folder / example["base"] / name).is_file() for example in library["examples"] for name in example["files"])
    assert not any(re.search(r"\bmain\s*\(", path.read_text()) for path in (folder / "src").iterdir())
    assert all(path.name.startswith("npgru") for path in (folder / "src").glob("*.h"))


def test_the_arduino_sketch(student, tmp_path):
    """It is C++ without a warning; what it calls of Arduino stands in."""
    (tmp_path / "PDM.h").write_text(
        "#include <cstddef>\nvoid delay(unsigned long);\n"
        "struct Port { void begin(unsigned long); void print(const char *); void println(const char *); void println(int); };\n"
        "struct Microphone { void onReceive(void (*)(void)); int begin(int channels, int rate); int available(); "
        "int read(void *buffer, std::size_t n); };\nextern Port Serial;\nextern Microphone PDM;\n")
    sketch = student[1] / "examples" / "Microphone" / "Microphone.ino"
    warnings = [flag for flag in WARNINGS if flag != "-std=c99"]
    run("g++", "-std=c++11", *warnings, f"-I{tmp_path}", f"-I{student[1] / 'src'}", "-c", "-x", "c++", sketch, "-o", tmp_path / "sketch.o")
