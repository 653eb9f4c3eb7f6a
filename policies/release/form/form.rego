# METADATA
# title: What a request form does not send
# description: >-
#   Asked before anything is stored, so that a request does not come back for what a machine could tell: words that are missing, figures
#   without the number of people behind them, and whatever `release/decision` would refuse. What is sent is judged again all the same.
package release.form

import data.lib.reason
import rego.v1

complete if {
	is_object(input.texts)
	is_array(input.items)
	count(input.items) > 0
	every item in input.items {
		is_string(item.name)
		is_string(item.kind)
	}
}

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
found contains [where, "input_incomplete"] if {
	where := ""
	not complete
}

long_enough(word) if {
	is_number(input.texts[word])
	input.texts[word] >= data.data.form.characters[word]
}

# METADATA
# title: A request says what it is
# description: The title is how people find and name it.
# custom:
#   short_name: no_title
#   message: The request has no title that says what it is.
#   remedy: Say in a few words what leaves.
found contains [where, "no_title"] if {
	where := "title"
	not long_enough(where)
}

# METADATA
# title: A request says what it is for
# description: A steward compares it with the purpose of the grant.
# custom:
#   short_name: no_purpose
#   message: Nothing says what the output is for.
#   remedy: Say where it will be used and by whom.
found contains [where, "no_purpose"] if {
	where := "purpose"
	not long_enough(where)
}

# METADATA
# title: A request says how it is to be read
# description: A quarter of what comes back elsewhere comes back for missing context.
# custom:
#   short_name: no_context
#   message: Nothing tells a reader how the figures came about.
#   remedy: Say who is counted, how the groups were formed, and which table of which paper it is.
found contains [where, "no_context"] if {
	where := "context"
	not long_enough(where)
}

# METADATA
# title: Figures come with the number of people behind them
# description: A mean or a sum without its count cannot be judged by whoever reads it.
# custom:
#   short_name: no_count
#   message: It shows figures without the number of records behind them.
#   remedy: Add count(*) AS n to the SELECT list.
found contains [where, "no_count"] if {
	some item in input.items
	where := item.name
	item.kind in {"table", "figure"}
	not counted(item)
}

counted(item) if item.counted == true

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": count(found) == 0,
	"reasons": [reason.of(code) | some code in sort({one | some [_, one] in found})],
	"places": [{"where": where, "code": code} | some [where, code] in sort(found)],
}
