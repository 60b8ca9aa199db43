#!/bin/sh
# Install the system packages that tests need, where that is allowed; else say which tests are left out.
missing=""
for package in "$@"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "Not installed, and not to be installed here:$missing" >&2
[ "$CI" = true ] && exit 1
echo "Tests that need them are left out: tests/e2e/test_browser.py needs chromium; those marked" >&2
echo "bioinformatics need bwa, samtools and bcftools." >&2
