# SPDX-FileCopyrightText: The flatten authors
# SPDX-License-Identifier: Apache-2.0

# Completion of flatten's command lines in fish. The command itself says what a
# word can become; here it is asked. fish does not say what follows the cursor.

function __flatten_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l plain (string unescape -- $current)
    and set current $plain
    set -l program $before[1]
    set -e before[1]
    string match -q '~/*' -- $program
    and set program $HOME(string sub -s 2 -- $program)
    type -fq -- $program
    or set program flatten

    for line in (command $program __complete -- (count $before) $before "$current" 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case :files
                __fish_complete_path "$current"
            case :dirs
                __fish_complete_directories "$current" ''
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c flatten -f -k -a '(__flatten_complete)'
