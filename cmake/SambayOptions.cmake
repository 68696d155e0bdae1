option(SAMBAY_TESTS "Build the tests" ON)
option(SAMBAY_BENCHMARKS "Build the micro-benchmarks" OFF)
option(SAMBAY_FUZZ "Build the libFuzzer targets (Clang only)" OFF)
set(SAMBAY_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(SAMBAY_CCACHE ccache)
if(SAMBAY_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SAMBAY_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of overlap inside its own std::string::insert (GCC bug 105651), and of members of
  # designated initialisers that their own defaults initialise.
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized)
endif()
# Results must not depend on how the compiler contracts a*b+c; kernels ask for fma by name.
add_compile_options(-ffp-contract=off)
if(SAMBAY_SANITIZE)
  add_compile_options(-fsanitize=${SAMBAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
                      -g1)
  add_link_options(-fsanitize=${SAMBAY_SANITIZE})
endif()
