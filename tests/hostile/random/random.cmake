# SPDX-License-Identifier: Apache-2.0
# random_calls: a guest that makes random system calls (random_calls.c, driven by random_calls.py).
add_executable(random-calls EXCLUDE_FROM_ALL hostile/random/random_calls.c hostile/random/random_args.c
               hostile/random/random_structs.c hostile/random/random_flags.c hostile/random/random_left.c)
target_compile_options(random-calls PRIVATE -fno-sanitize=all)
target_link_options(random-calls PRIVATE -fno-sanitize=all -static -pthread)
add_dependencies(tests random-calls)

# Seeds that found something once, and one that nobody has seen; ten seconds in all. The slow one: an hour.
set(_random python3 ${CMAKE_CURRENT_SOURCE_DIR}/hostile/random/random_calls.py $<TARGET_FILE:sbx>
    $<TARGET_FILE:random-calls>)
add_test(NAME hostile/random_calls COMMAND ${_random} 10 101 105 212 2005 new)
add_test(NAME hostile/random_hour COMMAND ${_random} 3600 new new new new new new new new new new new
         new new new new new new new new new)
set_tests_properties(hostile/random_calls PROPERTIES TIMEOUT 400 LABELS hostile)
set_tests_properties(hostile/random_hour PROPERTIES TIMEOUT 5400 LABELS slow RUN_SERIAL ON)
