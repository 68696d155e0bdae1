#!/usr/bin/env bash
# Makes .llama beside this file: llama-bench, built for this processor alone from the source package
# that PyPI's llama-cpp-python carries, llama_decode, and the Python packages that write_gguf.py needs.
# A build that was stopped goes on where it was. Everything that is given goes to the build: -j1, ...
set -euo pipefail
cd "$(dirname "$0")"

version=0.3.36  # of llama-cpp-python

mkdir -p .llama && cd .llama
package=llama_cpp_python-$version
if [ ! -d "$package" ]; then
  python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest . "llama-cpp-python==$version"
  tar -xzf "$package.tar.gz"
  rm "$package.tar.gz"
fi
[ -d venv ] || python3 -m venv venv
venv/bin/python -m pip install --quiet numpy "./$package/vendor/llama.cpp/gguf-py"

# As its own documentation builds it for the CPU; nothing that is not used is built.
cmake -S "$package/vendor/llama.cpp" -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_OPENMP=ON \
  -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
  -DLLAMA_USE_PREBUILT_UI=OFF > configure.log
cmake --build build --target llama-bench "$@"
c++ -std=c++20 -O2 -I "$package/vendor/llama.cpp/include" -I "$package/vendor/llama.cpp/ggml/include" ../llama_decode.cc \
  -L build/bin -lllama -lggml -lggml-base -Wl,-rpath,"$PWD/build/bin" -o llama_decode
build/bin/llama-bench --list-devices
