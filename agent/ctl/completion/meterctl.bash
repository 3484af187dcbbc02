# Completion of meterctl(1) for bash. Needs nothing but bash 4; works with and without the bash-completion package.
# tests/manual compares it with `meterctl --help`.

# What a verb takes beside the options that every verb takes.
_meterctl_options() {
    case $1 in
        report) echo --subscription --quantity --id --time --ack --source ;;
        buckets) echo --balances ;;
        flush) echo --now ;;
        date) echo --day ;;
        usages) echo --subscription --item-price --invoice --source --from --to --limit ;;
        invoice) echo --invoice --subscription --item-price --until ;;
        statement) echo --invoice --from --to --subscription --upstream ;;
        outbox) echo --in-doubt ;;
        resolve) echo --delivered --not-delivered --reason ;;
        retry | withdraw) echo --reason ;;
        credit) echo --quantity --reason --id ;;
        backup) echo --portable ;;
        fsck) echo --directory --salvage ;;
        restore) echo --directory ;;
    esac
}

_meterctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local verbs='status report buckets outbox flush date audit verify doctor reconcile backup'
    verbs+=' usages invoice statement resolve retry withdraw credit restore fsck'
    local everywhere='--socket --timeout --json --help'
    local verb='' word i choices
    COMPREPLY=()

    # "--ack=received" comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --socket | --timeout)
                ((i++))
                [[ ${COMP_WORDS[i]} == = ]] && ((i++))
                ;;
            -*) ;;
            *)
                verb=$word
                break
                ;;
        esac
    done

    case $prev in
        --socket | --directory)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        --ack)
            mapfile -t COMPREPLY < <(compgen -W 'received committed' -- "$cur")
            return
            ;;
        --source)
            # Of usages three values, of report any name.
            [[ $verb == usages ]] && mapfile -t COMPREPLY < <(compgen -W 'api bulk_operation admin_console' -- "$cur")
            return
            ;;
        --directory | --salvage)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
            ;;
        --timeout | --subscription | --quantity | --id | --time | --day | --item-price | --invoice) return ;;
        --from | --to | --limit | --until | --reason | --upstream) return ;;
    esac

    if [[ -z $verb ]]; then
        choices="$everywhere --version"
        [[ $cur == -* ]] || choices=$verbs
    else
        choices="$(_meterctl_options "$verb") $everywhere"
        if [[ $cur != -* ]]; then
            case $verb in
                report | date | resolve | retry | withdraw | credit) return ;;  # an event's name, a boot, an id
                invoice) choices='open close void delete' ;;
                backup | restore | statement)
                    compopt -o filenames 2>/dev/null
                    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                    return
                    ;;
            esac
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
}

complete -F _meterctl meterctl
