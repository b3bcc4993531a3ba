# Completion of linkbeat(8) in bash: with bash-completion, or sourced.
_linkbeat() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=''
    COMPREPLY=()
    case $before in
    --config | --socket) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --reason | --trigger-fd) return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='run trigger status events check --version --help'
    else
        case ${COMP_WORDS[1]} in
        run) words='--config --no-sandbox --trigger-fd' ;;
        trigger) words='--reason --wait --socket' ;;
        status) words='--json --watch --socket' ;;
        events) words='--json --follow --socket' ;;
        check) words='--pin' ;;
        esac
        [ "${COMP_WORDS[1]}" != check ] || [[ $word = -* ]] ||
            { compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word") && return; }
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _linkbeat linkbeat
