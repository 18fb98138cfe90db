# shellcheck shell=bash
# What scripts/build, scripts/test and scripts/demo share: installing what is missing, finding LibTorch,
# configuring and building. Sourced by scripts that have set -euo pipefail.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/higgs_train"
TORCH_VERSION=2.11.0
TORCH_SERIES=${TORCH_VERSION%.*}

# Options of the build; parse_build_option sets them.
PRESET=release
CUDA=ON

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Takes one build option from "$@". Sets TAKEN to the number of words used, 0 when it isn't one of ours.
parse_build_option() {
  TAKEN=0
  case "${1-}" in
    --preset)
      [[ $# -ge 2 ]] || die "--preset needs a name: release, debug, asan or tsan"
      PRESET=$2
      TAKEN=2
      ;;
    --preset=*)
      PRESET=${1#*=}
      TAKEN=1
      ;;
    --no-cuda)
      CUDA=OFF
      TAKEN=1
      ;;
  esac
  [[ $TAKEN -eq 0 || $PRESET =~ ^(release|debug|asan|tsan)$ ]] ||
    die "unknown preset '$PRESET'; there are release, debug, asan and tsan"
}

# ---- Debian packages ---------------------------------------------------------------------------------

LIBRARY_PACKAGES=(libsentencepiece-dev libsndfile1-dev libsoxr-dev libebur128-dev nlohmann-json3-dev libcli11-dev
  libspdlog-dev libtomlplusplus-dev libpcre2-dev libxxhash-dev libgtest-dev)

# The packages to install. A tool counts as there wherever it came from; a library is its package.
missing_packages() {
  local tool
  for tool in g++:g++ make:build-essential cmake:cmake ninja:ninja-build ccache:ccache pkg-config:pkg-config \
    git:git python3:python3 mpirun:openmpi-bin; do
    command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
  done
  if command -v python3 >/dev/null; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  else
    echo python3-venv
  fi
  comm -23 <(printf '%s\n' "${LIBRARY_PACKAGES[@]}" | sort) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${LIBRARY_PACKAGES[@]}" 2>/dev/null |
      sed -n 's/^installed //p' | sort)
}

# Installs what is missing, as root or with sudo; asks nothing and does nothing when all is there. In a conda environment
# made from environment.yml everything is.
setup_packages() {
  local missing as_root=() install
  if [[ -n ${CONDA_PREFIX-} && -e $CONDA_PREFIX/lib/pkgconfig/sndfile.pc ]]; then
    say "the libraries are those of the conda environment $CONDA_PREFIX"
    export CMAKE_PREFIX_PATH=$CONDA_PREFIX${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
    export PKG_CONFIG_PATH=$CONDA_PREFIX/lib/pkgconfig:$CONDA_PREFIX/share/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    return
  fi
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian or Ubuntu: the packages are yours to install (third_party/README.md lists them)"
    return
  fi
  mapfile -t missing < <(missing_packages)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $EUID -ne 0 ]]; then
    if ! command -v sudo >/dev/null || { ! sudo -n true 2>/dev/null && [[ ! -t 0 ]]; }; then
      die "missing packages, and no right to install them; run: sudo $install"
    fi
    as_root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >&2 || say "apt-get update failed; trying with the package lists there are"
  # shellcheck disable=SC2086  # the words of $install are meant to be split
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install -qq >&2 ||
    die "apt-get could not install all of: ${missing[*]} (its reason is above; no network?)"
}

# ---- LibTorch ----------------------------------------------------------------------------------------

# torch_series FOLDER: prints "2.11" for a torch package or libtorch folder, nothing when it isn't one.
torch_series() {
  local header="$1/include/torch/headeronly/version.h"
  [[ -e "$1/lib/libtorch_cpu.so" && -r $header ]] || return 0
  awk '$2 == "TORCH_VERSION_MAJOR" { major = $3 } $2 == "TORCH_VERSION_MINOR" { minor = $3 }
       END { print major "." minor }' "$header"
}

# package_of PYTHON: the folder of its torch package without importing it; nothing when it has none.
package_of() {
  "$1" -c 'import importlib.util, os
spec = importlib.util.find_spec("torch")
print(os.path.realpath(spec.submodule_search_locations[0]) if spec else "")' 2>/dev/null || true
}

# Sets TORCH_ROOT (exported) and TORCH_PYTHON, the python3 that goes with it: a given TORCH_ROOT, else the python3's
# torch if it is the right one, else a virtual environment in the cache, made when it isn't there.
setup_torch() {
  local found
  if [[ -n ${TORCH_ROOT-} ]]; then
    found=$(torch_series "$TORCH_ROOT")
    [[ -n $found ]] || die "TORCH_ROOT=$TORCH_ROOT holds no LibTorch (lib/libtorch_cpu.so, include/)"
    [[ $found == "$TORCH_SERIES" ]] || die "TORCH_ROOT=$TORCH_ROOT is LibTorch $found; $TORCH_SERIES is needed"
    TORCH_ROOT=$(cd "$TORCH_ROOT" && pwd -P)
    TORCH_PYTHON=python3
    [[ ! -x $TORCH_ROOT/../../../../bin/python3 ]] || TORCH_PYTHON=$TORCH_ROOT/../../../../bin/python3
  else
    TORCH_PYTHON=python3
    TORCH_ROOT=$(package_of python3)
    found=$([[ -z $TORCH_ROOT ]] || torch_series "$TORCH_ROOT")
    if [[ $found != "$TORCH_SERIES" ]]; then
      [[ -z $found ]] || say "the python3's torch is $found, not $TORCH_SERIES: using one of our own"
      TORCH_PYTHON=$CACHE/venv/bin/python3
      [[ -e $CACHE/venv/.complete ]] || make_torch_environment
      TORCH_ROOT=$(package_of "$TORCH_PYTHON")
      [[ -n $TORCH_ROOT && $(torch_series "$TORCH_ROOT") == "$TORCH_SERIES" ]] ||
        die "$CACHE/venv is damaged; remove it and run this again"
    fi
  fi
  export TORCH_ROOT
}

# The wheel brings the CUDA libraries along (about 2.5 GB to fetch, 4.7 GB on disk); none of it needs a GPU. pip's own
# cache would keep a second copy of the download, so it is left out.
make_torch_environment() {
  local venv=$CACHE/venv free_gb quiet=()
  mkdir -p "$CACHE"
  exec 8>"$CACHE/.venv.lock"
  flock 8
  if [[ ! -e $venv/.complete ]]; then
    if [[ $(package_of "$venv/bin/python3") == "" ]]; then
      free_gb=$(df -P -BM "$CACHE" | awk 'NR == 2 { print int($4 / 1024) }')
      [[ $free_gb -ge 8 ]] || die "$CACHE has $free_gb GB free; torch==$TORCH_VERSION needs 8 GB while it is installed"
      say "installing torch==$TORCH_VERSION from PyPI into $venv (about 2.5 GB to fetch; some minutes, once)"
    fi
    [[ -x $venv/bin/python3 ]] || python3 -m venv "$venv" || die "python3 -m venv $venv failed (reason above)"
    [[ -t 2 ]] || quiet=(--quiet)
    "$venv/bin/python3" -m pip install --disable-pip-version-check --no-cache-dir "${quiet[@]}" \
      "torch==$TORCH_VERSION" numpy >&2 ||
      die "torch==$TORCH_VERSION could not be installed from PyPI (reason above; no network? a python3 other than" \
        "3.10-3.14?); or give TORCH_ROOT=<a torch $TORCH_SERIES package or libtorch folder>"
    touch "$venv/.complete"
  fi
  exec 8>&-
}

# ---- Python for checks and the demo's model ------------------------------------------------------------

# setup_python NAME REQUIREMENTS: sets PYTHON, that of an environment in the cache folder with the packages of the file,
# which borrows torch from TORCH_ROOT through a .pth file, so that it isn't fetched twice. Needs setup_torch before.
setup_python() {
  local venv=$CACHE/$1 requirements=$2 stamp quiet=(--quiet) install alone site
  PYTHON=$venv/bin/python3
  [[ $(package_of "$TORCH_PYTHON") == "$TORCH_ROOT" ]] ||
    die "TORCH_ROOT=$TORCH_ROOT is not the torch of a Python; what runs in Python needs one that is (unset TORCH_ROOT)"
  stamp="$(cksum <"$requirements") $TORCH_ROOT"
  [[ $(cat "$venv/.complete" 2>/dev/null || true) != "$stamp" ]] || return 0
  exec 8>"$CACHE/.python.lock"
  flock 8
  say "installing ${requirements#"$ROOT"/} into $venv (once)"
  "$TORCH_PYTHON" -m venv "$venv" || die "$TORCH_PYTHON -m venv $venv failed (reason above)"
  site=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  dirname "$TORCH_ROOT" >"$site/torch_of_the_build.pth"
  [[ ! -t 2 ]] || quiet=()
  mapfile -t alone < <(sed -n 's/^# no-deps: //p' "$requirements")
  install=("$PYTHON" -m pip install --disable-pip-version-check --no-cache-dir "${quiet[@]}")
  if ! "${install[@]}" -r "$requirements" >&2 ||
    { [[ ${#alone[@]} -gt 0 ]] && ! "${install[@]}" --no-deps "${alone[@]}" >&2; }; then
    die "${requirements#"$ROOT"/} could not be installed from PyPI (reason above; no network?)"
  fi
  echo "$stamp" >"$venv/.complete"
  exec 8>&-
}

# setup_parity_python hf|boson|tensorboard: sets PARITY_PYTHON, for what tests/parity compares with.
setup_parity_python() {
  setup_python "parity-$1" "$ROOT/tests/parity/requirements-$1.txt"
  PARITY_PYTHON=$PYTHON
}

# ---- Build -------------------------------------------------------------------------------------------

# A compiler job on LibTorch headers takes up to 1.5 GB.
build_jobs() {
  local cores memory_kb limit by_memory
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
  if [[ $limit =~ ^[0-9]+$ && $((limit / 1024)) -lt $memory_kb ]]; then memory_kb=$((limit / 1024)); fi
  by_memory=$((memory_kb / 1572864))
  [[ $by_memory -ge 1 ]] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# Configures PRESET in BUILD_DIR (set here) when that has not been done with the same settings; ninja itself notices
# changed CMake files.
configure() {
  local name=$PRESET settings version
  [[ $CUDA == ON ]] || name=$name-nocuda
  BUILD_DIR=${HIGGS_BUILD_DIR:-$CACHE/build/$name-$(printf %s "$ROOT" | sha1sum | cut -c1-8)}
  export CCACHE_DIR=${CCACHE_DIR:-$CACHE/ccache}
  version=$(cmake --version | awk 'NR == 1 { print $3 }')
  printf '%s\n' 3.25 "$version" | sort -CV || die "cmake $version is too old: 3.25 or newer is needed (Debian 12)"
  settings=(--preset "$PRESET" "-DTORCH_ROOT=$TORCH_ROOT" "-DHIGGS_CUDA=$CUDA")
  if [[ -e $BUILD_DIR/build.ninja && $(cat "$BUILD_DIR/.settings" 2>/dev/null) == "$ROOT ${settings[*]}" ]]; then return; fi
  say "configuring $name in $BUILD_DIR"
  mkdir -p "$BUILD_DIR" || die "$BUILD_DIR cannot be made; give another with HIGGS_BUILD_DIR"
  rm -f "$BUILD_DIR/.settings"
  (cd "$ROOT" && cmake "${settings[@]}" -B "$BUILD_DIR" >&2) || die "cmake failed (reason above)"
  echo "$ROOT ${settings[*]}" >"$BUILD_DIR/.settings"
}

# build_targets TARGET...: builds them ("all" is everything).
build_targets() {
  local jobs
  jobs=$(build_jobs)
  say "building $* with $jobs job(s)"
  ninja -C "$BUILD_DIR" -j "$jobs" "$@" >&2 || die "the build failed (reason above)"
}

# Links the program to a path that stays the same: build/higgs_train (build/higgs_train.PRESET for other presets).
# Sets PROGRAM to that path.
link_program() {
  PROGRAM=$ROOT/build/higgs_train
  [[ $PRESET == release ]] || PROGRAM=$PROGRAM.$PRESET
  mkdir -p "$ROOT/build"
  [[ $PROGRAM -ef $BUILD_DIR/higgs_train ]] || ln -sfn "$BUILD_DIR/higgs_train" "$PROGRAM"
}
