#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Parallel builds: cmake with ninja and with make (its job server), ctest side by side, what is old, what is broken.
for need in cmake ninja make g++; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
mkdir p && cd p || exit 1
for i in $(seq 16); do echo "#include <string>
#include <map>
std::string f$i() { std::map<int, std::string> m; m[$i] = \"f$i\"; return m[$i]; }" >f$i.cc; done
{ for i in $(seq 16); do echo "std::string f$i();"; done | sed '1i #include <string>\n#include <iostream>'; echo 'int main() { std::cout'; for i in $(seq 16); do echo "<< f$i()"; done; echo '<< std::endl; }'; } >m.cc
cat >CMakeLists.txt <<'E'
cmake_minimum_required(VERSION 3.10)
project(p CXX)
enable_testing()
file(GLOB srcs f*.cc)
add_library(f STATIC ${srcs})
add_custom_command(OUTPUT made.h COMMAND sh -c "echo '#define MADE 1' > made.h")
add_library(g SHARED g.cc made.h)
target_include_directories(g PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
add_executable(m m.cc)
target_link_libraries(m f g)
foreach(i RANGE 1 12)
  add_test(NAME t${i} COMMAND m)
endforeach()
add_test(NAME no COMMAND sh -c "exit 3")
add_test(NAME slow COMMAND sleep 20)
set_tests_properties(slow PROPERTIES TIMEOUT 1)
include(CheckFunctionExists)
E
printf '#include "made.h"\nint g() { return MADE; }\n' >g.cc
for how in Ninja "Unix Makefiles"; do
    rm -rf b; cmake -G "$how" -B b . >log 2>&1 || tail log
    cmake --build b -j 6 >log 2>&1; echo "$how $?"; b/m | md5sum; ls b/CMakeFiles/f.dir/*.o | wc -l
    cmake --build b -j 6 2>&1 | grep -cE "Building|no work"; sleep 1; touch f7.cc; cmake --build b -j 6 2>&1 | grep -c "Building"
    (cd b && ctest -j 5 2>&1 | grep -E "tests passed|\*\*\*" | sed 's/[0-9.]* sec.*//; s/^.*: //' | sort)
    echo 'int broken(' >g.cc; cmake --build b -j 6 >log 2>&1; echo "broken $?"; printf '#include "made.h"\nint g() { return MADE; }\n' >g.cc
done
cmake --build b --clean-first -j 4 >log 2>&1 & sleep 0.7; kill $!; wait $!; echo "ended $?"; sleep 1; cmake --build b -j 4 >log 2>&1; echo "whole $?"
