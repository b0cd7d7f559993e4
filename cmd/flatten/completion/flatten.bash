# SPDX-FileCopyrightText: The flatten authors
# SPDX-License-Identifier: Apache-2.0

# Completion of flatten's command lines in bash. The command itself says what a
# word can become; here it is asked, and its answer is fitted into the line.

# __flatten_split takes a line apart as the shell does, and expands nothing. It
# sets the caller's
#   words   the words, without quotes
#   quote   the quote that is open at the end, or nothing
#   kept    how many characters of the last word readline does not replace: those
#           up to an open quote, else up to the last of COMP_WORDBREAKS
__flatten_split() {
	local line=$1 char="" word="" inside="" begun="" i
	words=() quote="" kept=0
	for ((i = 0; i < ${#line}; i++)); do
		char=${line:i:1}
		if [[ $quote == "'" && $char != "'" ]]; then
			word+=$char
		elif [[ -n $quote && $char == "$quote" ]]; then
			quote=""
		elif [[ $char == \\ && ($quote == "" || ${line:i+1:1} == [\\\"\$\`]) ]]; then
			((i++))
			word+=${line:i:1} begun=1
		elif [[ $quote == '"' ]]; then
			word+=$char
		elif [[ $char == [\'\"] ]]; then
			quote=$char inside=${#word} begun=1
		elif [[ $char == [[:space:]] ]]; then
			[[ -z $begun ]] || words+=("$word")
			word="" begun="" kept=0
		else
			word+=$char begun=1
			[[ ${COMP_WORDBREAKS-:=} != *"$char"* ]] || kept=${#word}
		fi
	done
	words+=("$word")
	[[ -z $quote ]] || kept=$inside
}

_flatten() {
	local words quote kept
	__flatten_split "${COMP_LINE:COMP_POINT}"
	local behind=("${words[@]}")
	# What follows the cursor without a space belongs to the word, and is left out.
	[[ ${COMP_LINE:COMP_POINT} == [[:space:]]* ]] || behind=("${behind[@]:1}")
	__flatten_split "${COMP_LINE:0:COMP_POINT}"
	local index=$((${#words[@]} - 2))
	local program=${words[0]/#\~\//$HOME/}
	type -P -- "$program" >/dev/null || program=flatten

	COMPREPLY=()
	local word about
	while IFS=$'\t' read -r word about; do
		case $word in
		:files)
			compopt -o default 2>/dev/null
			continue
			;;
		:dirs)
			compopt -o dirnames 2>/dev/null
			continue
			;;
		esac
		word=${word:kept}
		case $quote in
		"'") word=${word//\'/\'\\\'\'} ;;
		'"')
			word=${word//\\/\\\\}
			word=${word//\"/\\\"}
			word=${word//\$/\\\$}
			word=${word//\`/\\\`}
			;;
		*) printf -v word %q "$word" ;;
		esac
		COMPREPLY+=("$word")
	done < <(command "$program" __complete -- "$index" "${words[@]:1}" "${behind[@]}" 2>/dev/null)
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/:=] ]]; then
		compopt -o nospace 2>/dev/null
	fi
}

complete -o nosort -F _flatten flatten 2>/dev/null || complete -F _flatten flatten
