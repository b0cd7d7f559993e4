#compdef flatten
# SPDX-FileCopyrightText: The flatten authors
# SPDX-License-Identifier: Apache-2.0

# Completion of flatten's command lines in zsh. The command itself says what a
# word can become; here it is asked.

_flatten() {
	local line word about
	local -a whole begun
	local program=${(Q)words[1]}
	program=${program/#\~\//$HOME/}
	(( $+commands[$program] )) || [[ -x $program && -f $program ]] || program=flatten

	local -a before=("${(@Q)words[2,CURRENT-1]}") behind=("${(@Q)words[CURRENT+1,-1]}")
	(( CURRENT > 2 )) || before=()
	(( CURRENT < $#words )) || behind=()
	for line in "${(@f)$(command "$program" __complete -- $#before "${before[@]}" "${(Q)PREFIX}" "${behind[@]}" 2>/dev/null)}"; do
		word=${line%%$'\t'*} about=${line#*$'\t'}
		case $word in
		'') ;;
		:files) _files && return ;;
		:dirs) _files -/ && return ;;
		*[/:=]) begun+=("${${word//\\/\\\\}//:/\\:}${about:+:$about}") ;;
		*) whole+=("${${word//\\/\\\\}//:/\\:}${about:+:$about}") ;;
		esac
	done
	_describe -V flatten whole -- begun -S ''
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
	_flatten "$@"
else
	compdef _flatten flatten
fi
