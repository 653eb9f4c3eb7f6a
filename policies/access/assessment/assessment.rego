# METADATA
# title: Prior assessment
# description: >-
#   What a person confirms before a project first starts: the checklists in `policies/data/assessment.json` of every level that the
#   project's data has, with the words of `policies/data/checklist.json`. A level without a checklist is never assessed.
package access.assessment

import data.lib.checklist
import rego.v1

default confirmed := set()

confirmed := {item | some item in input.assessed; is_string(item)} if is_array(input.assessed)

default levels := []

levels := input.levels if is_array(input.levels)

needed contains item if {
	some level in levels
	some item in checklist.of_level(level)
}

# METADATA
# title: What would have to be confirmed and is not
lacking := needed - confirmed

# METADATA
# title: Items that no checklist knows
# description: A misspelt item would seem to be confirmed and count for nothing.
unknown contains item if {
	some item in confirmed
	not checklist.known(item)
}

default complete := false

complete if {
	count(levels) > 0
	count(lacking) == 0
	every level in levels {
		checklist.there(level)
	}
}

rows := [object.union(data.data.checklist[item], {"item": item, "confirmed": item in confirmed}) |
	some item in sort(needed)
]

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"complete": complete,
	"items": rows,
	"lacking": sort(lacking),
	"unknown": sort(unknown),
}
