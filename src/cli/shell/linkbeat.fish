# Completion of linkbeat(8) in fish.
set -l commands run trigger status events check
complete -c linkbeat -f
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a run -d 'Run the agent'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a trigger -d 'Request a beat now'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a status -d 'Show the state of the agent'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a events -d 'List the last beats and network changes'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a check -d 'Check the configuration'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -l version -d 'Print the version'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -l help -d 'Print a summary'
complete -c linkbeat -n '__fish_seen_subcommand_from run' -l config -rF -d 'Path of the configuration'
complete -c linkbeat -n '__fish_seen_subcommand_from run' -l trigger-fd -x -d 'Number of an inherited eventfd'
complete -c linkbeat -n '__fish_seen_subcommand_from run' -l no-sandbox -d 'For debuggers: keep core files and all system calls'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger' -l reason -x -d 'Reason to report to the server'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger' -l wait -d 'Wait for the result of the beat'
complete -c linkbeat -n '__fish_seen_subcommand_from status events' -l json -d 'Print JSON'
complete -c linkbeat -n '__fish_seen_subcommand_from status' -l watch -d 'Repeat until interrupted'
complete -c linkbeat -n '__fish_seen_subcommand_from events' -l follow -d 'Keep running and print new entries'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger status events' -l socket -rF -d 'Socket of the agent'
complete -c linkbeat -n '__fish_seen_subcommand_from check' -F
complete -c linkbeat -n '__fish_seen_subcommand_from check' -l pin -d 'Print the pin of the key of the server'
