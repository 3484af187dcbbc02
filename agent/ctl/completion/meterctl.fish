# Completion of meterctl(1) for fish. tests/manual compares it with `meterctl --help`.
complete -c meterctl -f
complete -c meterctl -l socket -r -F -d "The API socket of meterd"
complete -c meterctl -l timeout -x -d "How long to wait: 200ms, 10s, 2m"
complete -c meterctl -l json -d "Print JSON"
complete -c meterctl -l help -d "Print the options"
complete -c meterctl -l version -n __fish_use_subcommand -d "Print the version"

complete -c meterctl -n __fish_use_subcommand -a status -d "Is it counting, what waits, what is wrong"
complete -c meterctl -n __fish_use_subcommand -a report -d "Count an event"
complete -c meterctl -n __fish_use_subcommand -a buckets -d "The totals that are not sealed yet"
complete -c meterctl -n __fish_use_subcommand -a outbox -d "The usages that are not delivered yet"
complete -c meterctl -n __fish_use_subcommand -a flush -d "Commit what is counted and send now"
complete -c meterctl -n __fish_use_subcommand -a verify -d "Check the whole journal"
complete -c meterctl -n __fish_use_subcommand -a reconcile -d "After a restore: ask the upstreams what they have"
complete -c meterctl -n __fish_use_subcommand -a backup -d "Copy the journal to a file"
complete -c meterctl -n __fish_use_subcommand -a restore -d "Make a journal of a backup"

complete -c meterctl -n "__fish_seen_subcommand_from backup restore" -F
complete -c meterctl -n "__fish_seen_subcommand_from restore" -l directory -r -F -d "The journal's directory"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l subscription -x -d "The subscription to bill"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l quantity -x -d "A decimal above zero"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l id -x -d "An id of your own"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l time -x -d "When it happened, in RFC 3339"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l ack -x -a "received committed" -d "What the answer promises"
complete -c meterctl -n "__fish_seen_subcommand_from report" -l source -x -d "Who reports"
complete -c meterctl -n "__fish_seen_subcommand_from buckets" -l balances -d "What became of what was accepted"
complete -c meterctl -n "__fish_seen_subcommand_from flush" -l now -d "Seal the open buckets first"
