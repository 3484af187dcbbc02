#compdef meterctl
# Completion of meterctl(1) for zsh. tests/manual compares it with `meterctl --help`.

_meterctl() {
    local state line
    local -a everywhere verbs words_of
    everywhere=(
        '--socket[the API socket of meterd]:socket:_files'
        '--timeout[how long to wait for meterd]:time, such as 200ms, 10s, 2m: '
        '--json[print JSON]'
        '--help[print the options]'
    )
    verbs=(
        'status:is it counting, what waits, what is wrong, what to do'
        'report:count an event'
        'buckets:the totals that are not sealed yet'
        'outbox:the usages that are not delivered yet'
        'flush:commit what is counted and send now'
        'date:date what a boot without a clock counted'
        'audit:what operators and policies changed'
        'verify:check the whole journal'
        'doctor:what is wrong, and what to do about it'
        'reconcile:ask the upstreams what they have, and tell differences'
        'backup:copy the journal to a file'
        'usages:single usages, and what became of them'
        'invoice:bill the usages of a term, where no upstream does'
        'statement:print usages as PDF'
        'resolve:decide of a usage that is in doubt'
        'retry:send a parked usage again'
        'withdraw:give a usage up'
        'credit:give back a part of what a usage charged'
        'restore:make a journal of a backup'
        'fsck:what is damaged in a journal, while meterd is stopped'
    )
    _arguments -C $everywhere '--version[print the version]' '1: :->verb' '*:: :->rest'
    if [[ $state == verb ]]; then
        _describe verb verbs
        return
    fi
    case $line[1] in
        report) words_of=(
            '--subscription[the subscription to bill]:subscription: '
            '--quantity[a decimal above zero]:quantity: '
            '--id[an id of your own]:id: '
            '--time[when it happened]:time in RFC 3339: '
            '--ack[what the answer promises]:acknowledgement:(received committed)'
            '--source[who reports]:name: '
            '1:event: '
        ) ;;
        buckets) words_of=('--balances[what became of what was accepted]') ;;
        reconcile) words_of=('1:upstream: ') ;;
        backup) words_of=(
            '--portable[for a machine of another architecture too]'
            '1:file:_files'
        ) ;;
        restore) words_of=(
            '--directory[the directory of the journal]:directory:_files -/'
            '1:backup:_files'
        ) ;;
        outbox) words_of=('--in-doubt[only those in doubt]') ;;
        resolve) words_of=(
            '--delivered[the upstream has it]'
            '--not-delivered[it has not: send it again]'
            '--reason[how you know, for the audit]:reason: '
            '1:usage: '
        ) ;;
        retry) words_of=('--reason[what was mended, for the audit]:reason: ' '1:usage: ') ;;
        flush) words_of=('--now[seal the open buckets first]') ;;
        date) words_of=('--day[the usage day]:day, such as 2026-11-22: ' '1:boot: ') ;;
        usages) words_of=(
            '--subscription[of this subscription]:subscription: '
            '--item-price[of this item price]:item price: '
            '--invoice[on this invoice]:invoice: '
            '--source[made by]:source:(api bulk_operation admin_console)'
            '--from[from this day on, in UTC]:day, such as 2026-11-22: '
            '--to[until the end of this day, in UTC]:day, such as 2026-11-22: '
            '--limit[how many at most]:number: '
        ) ;;
        invoice) words_of=(
            '--invoice[its id]:invoice: '
            '--subscription[whose usages]:subscription: '
            '--item-price[only of this item price]:item price: '
            '--until[the last day of the term]:day or instant: '
            '1:action:(open close void delete)'
        ) ;;
        statement) words_of=(
            '--invoice[of this invoice]:invoice: '
            '--from[or from this day on]:day, such as 2026-11-22: '
            '--to[until the end of this day]:day, such as 2026-11-22: '
            '--subscription[only of this subscription]:subscription: '
            '--upstream[the document that this upstream prints of the invoice]:upstream: '
            '1:file:_files'
        ) ;;
        credit) words_of=(
            '--quantity[how much of it]:quantity: '
            '--reason[why, for the audit]:reason: '
            '--id[an id of your own]:id: '
            '1:usage: '
        ) ;;
        withdraw) words_of=('--reason[why, for the audit]:reason: ' '1:usage: ') ;;
        fsck) words_of=(
            '--directory[the directory of the journal]:directory:_files -/'
            '--salvage[copy what is readable into this new directory]:directory:_files -/'
        ) ;;
    esac
    _arguments $everywhere $words_of
}

_meterctl "$@"
