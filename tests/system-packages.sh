#!/bin/sh
# Install the system packages that tests need, where that is allowed; else say which tests are left out.
#     system-packages.sh PACKAGE... --optional PACKAGE...
# With CI=true a package that can't be installed is an error, unless it is optional.
is_installed() {
    dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null | grep -q "ok installed"
}

missing=""
missing_optional=""
optional=false
for package in "$@"; do
    if [ "$package" = --optional ]; then
        optional=true
    elif ! is_installed "$package"; then
        if $optional; then missing_optional="$missing_optional $package"; else missing="$missing $package"; fi
    fi
done
[ -z "$missing$missing_optional" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq; then
        install="apt-get install -y -qq --no-install-recommends"
        [ -n "$missing_optional" ] && $install $missing_optional >/dev/null && missing_optional=""
        [ -n "$missing" ] && $install $missing >/dev/null && missing=""
    fi
fi
[ -z "$missing$missing_optional" ] && exit 0
echo "Not installed, and not to be installed here:$missing$missing_optional" >&2
[ -n "$missing" ] && [ "$CI" = true ] && exit 1
echo "Tests that need them are left out: those with a browser need chromium and" >&2
echo "chromium-headless-shell; test_scale_out.py needs postgresql and" >&2
echo "redis-server; test_observing.py needs prometheus (for promtool); those marked" >&2
echo "bioinformatics need bwa, samtools and bcftools; those in containers need podman, runc and busybox-static; test_slurm.py needs slurmctld," >&2
echo "slurmd, slurm-client and munge; test_swift.py needs python3-swift." >&2
