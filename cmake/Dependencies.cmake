# Every library besides LibTorch, as one imported target each. All are Debian/Ubuntu packages; scripts/build
# installs them. third_party/README.md says what each is for.
find_package(PkgConfig REQUIRED)
find_package(spdlog REQUIRED)

function(higgs_pkg name module package)
  pkg_check_modules(${name} IMPORTED_TARGET ${module})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${module} not found: apt-get install ${package} (scripts/build does it)")
  endif()
  add_library(dep::${name} INTERFACE IMPORTED)
  target_link_libraries(dep::${name} INTERFACE PkgConfig::${name})
endfunction()

higgs_pkg(json nlohmann_json nlohmann-json3-dev)
higgs_pkg(xxhash libxxhash libxxhash-dev)
higgs_pkg(pcre2 libpcre2-8 libpcre2-dev)
higgs_pkg(sentencepiece sentencepiece libsentencepiece-dev)
higgs_pkg(sndfile sndfile libsndfile1-dev)
higgs_pkg(soxr soxr libsoxr-dev)
higgs_pkg(ebur128 libebur128 libebur128-dev)
higgs_pkg(cli11 CLI11 libcli11-dev)
higgs_pkg(toml tomlplusplus libtomlplusplus-dev)
