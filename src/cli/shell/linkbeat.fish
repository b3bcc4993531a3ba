# Completion of linkbeat(8) in fish.
set -l commands run trigger status events check
complete -c linkbeat -f
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a run -d 'Run the agent'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a trigger -d 'Ask the agent for a beat now'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a status -d 'Tell how it goes'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a events -d 'List the last beats and what the network did'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -a check -d 'Check the configuration'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -l version -d 'Print the version'
complete -c linkbeat -n "not __fish_seen_subcommand_from $commands" -l help -d 'Print a summary'
complete -c linkbeat -n '__fish_seen_subcommand_from run' -l config -rF -d 'The configuration'
complete -c linkbeat -n '__fish_seen_subcommand_from run' -l trigger-fd -x -d 'An inherited eventfd'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger' -l reason -x -d 'Why'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger' -l wait -d 'Wait for the result of the beat'
complete -c linkbeat -n '__fish_seen_subcommand_from status events' -l json -d 'As an object'
complete -c linkbeat -n '__fish_seen_subcommand_from status' -l watch -d 'Again and again'
complete -c linkbeat -n '__fish_seen_subcommand_from events' -l follow -d 'Go on with what is new'
complete -c linkbeat -n '__fish_seen_subcommand_from trigger status events' -l socket -rF -d 'The socket of the agent'
complete -c linkbeat -n '__fish_seen_subcommand_from check' -F
