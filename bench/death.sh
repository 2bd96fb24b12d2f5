#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# How long after a kill -9 of the front end, the sentry, the gofer or the zygote nothing of a sandbox
# is left: median and longest. usage: death.sh [SBX [MOMENTS]]
cd "$(dirname "$0")/.." || exit 1
exec python3 tests/hostile/death/death.py "${1:-build/release/sbx}" --moments "${2:-50}" \
    front sentry gofer zygote terminal
