# Completion of meterd(8) for bash. Needs nothing but bash 4; works with and without the bash-completion package.
# tests/manual compares it with `meterd --help`.

_meterd() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()

    # "--config=FILE" comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    if [[ $prev == --config ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W '--config --check --help --version' -- "$cur")
    fi
}

complete -F _meterd meterd
