#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A call goes down this list and never up: cli -> sentry -> platform, gofer -> abi. A platform knows
# nothing of files or tasks, a file system nothing of platforms; the gofer stands alone.
set -u
cd "$(dirname "$0")/../.."
failed=0

# forbid WHERE WHAT WHY: no source beneath WHERE includes a header that matches WHAT
forbid() {
    hits=$(git ls-files "$1" | grep -E '\.[ch]$' | xargs -r grep -nE "^ *# *include \"$2" /dev/null)
    if [ -n "$hits" ]; then
        printf '%s\n  %s\n' "$hits" "$3" >&2
        failed=1
    fi
}

forbid broker '(cli|sentry|platform|gofer)/' "the broker knows its protocol and the host, nothing else"
forbid sentry 'broker/(broker|server|policy|dns)' "the sentry knows the broker's protocol only"
forbid abi '(cli|sentry|platform|gofer|broker)/' "abi/ is the lowest layer"
forbid platform '(cli|sentry|gofer|broker)/' "a platform knows address spaces and contexts, nothing above"
forbid gofer '(cli|sentry|platform|broker)/' "the gofer knows its protocol and the host, nothing else"
forbid sentry 'cli/(cli|error|launch|monitor|options|program|proxy|report|shown|user|view|visible)\.h' \
    "the sentry talks to the front end by cli/control.h and cli/stats.h only"
forbid sentry/fs 'platform/' "a file system knows nothing of platforms"
forbid sentry/vfs 'platform/' "the VFS knows nothing of platforms"
forbid sentry/net 'platform/' "the network knows nothing of platforms"
forbid sentry/ipc 'platform/' "pipes and the like know nothing of platforms"
forbid sentry 'platform/[a-z]+/' "the sentry knows platform/platform.h, no platform"
forbid sentry 'gofer/(gofer|server|main)' "the sentry knows the gofer's client only"
forbid platform/trap 'platform/(kvm|ptrace|skeleton)/' "platforms do not know each other"
forbid platform/ptrace 'platform/(kvm|trap|skeleton)/' "platforms do not know each other"
forbid platform/shared 'platform/(kvm|ptrace|trap|skeleton)/' "what platforms share knows none of them"
[ "$failed" -ne 0 ] || echo "layers are kept"
exit $failed
