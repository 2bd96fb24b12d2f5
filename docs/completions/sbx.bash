# bash completion for sbx                                        -*- shell-script -*-
# SPDX-License-Identifier: Apache-2.0
_sbx()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options='--rootfs --bind --ro-bind --image --tmpfs --cwd --env --user --name --detach --profile --trust-profile --print-profile
        --hostname --timeout --memory --pids --cpus --cpu-time --file-size --disk --output --net --allow-net --deny-net --publish --changes --diff
        --save-changes --apply --json --require --platform --strace --stats --log --log-level
        --interactive --tty --rm --help -v -w -e -u -m -p -d -i -t -h'
    local values=' --rootfs --bind --image --tmpfs --cwd --env --user --name --profile --hostname --timeout --memory --pids --cpus
        --cpu-time --file-size --disk --output --net --allow-net --deny-net --publish -p --save-changes --require
        --platform --log --log-level -v -w -e -u -m '

    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'run learn ps logs stats exec kill stop wait rm inspect net oci doctor syscalls version help' -- "$cur")
        return
    fi
    case ${COMP_WORDS[1]} in
    doctor) mapfile -t COMPREPLY < <(compgen -W '--self-test' -- "$cur") && return ;;
    syscalls) mapfile -t COMPREPLY < <(compgen -W '--native' -- "$cur") && return ;;
    net)
        if [ "$COMP_CWORD" -eq 3 ]; then mapfile -t COMPREPLY < <(compgen -W 'allow deny remove --json' -- "$cur") && return; fi
        [ "$COMP_CWORD" -gt 3 ] && return
        mapfile -t COMPREPLY < <(compgen -W "--json $(sbx ps 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur") && return ;;
    ps) mapfile -t COMPREPLY < <(compgen -W '-a --json' -- "$cur") && return ;;
    exec | kill | stop | stats | inspect)
        mapfile -t COMPREPLY < <(compgen -W "$(sbx ps 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur") && return ;;
    logs | wait | rm)
        mapfile -t COMPREPLY < <(compgen -W "$(sbx ps -a 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur") && return ;;
    run | learn) ;;
    *) return ;;
    esac
    # Behind FILE everything is the program's: files.
    local i word skip=
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$skip" ]; then skip= && continue; fi
        case $word in
        -*) [[ $values == *" $word "* ]] && skip=1 ;;
        *) compopt -o default && COMPREPLY=() && return ;;
        esac
    done
    case $prev in
    --rootfs | --cwd | -w | --tmpfs | --save-changes) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    --bind | --ro-bind | -v | --log) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    --profile)
        mapfile -t COMPREPLY < <(compgen -W "none $(cd "${XDG_CONFIG_HOME:-$HOME/.config}/sbx" 2>/dev/null && ls -- *.toml 2>/dev/null | sed 's/\.toml$//')" -- "$cur") ;;
    --require) mapfile -t COMPREPLY < <(compgen -W 'userns seccomp cgroup landlock iouring bpf' -- "$cur") ;;
    --platform) mapfile -t COMPREPLY < <(compgen -W 'auto trap' -- "$cur") ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$cur") ;;
    --user | -u) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
    *)
        case $cur in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -c -- "$cur") ;;
        esac
        ;;
    esac
}
complete -o filenames -F _sbx sbx
