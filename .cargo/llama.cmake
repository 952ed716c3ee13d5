# Read by CMake when llama.cpp's build begins (CMAKE_PROJECT_INCLUDE in config.toml). The bindings build its `common` library
# too, which nothing here links: half of its C++ files.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
