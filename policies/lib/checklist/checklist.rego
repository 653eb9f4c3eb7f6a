# METADATA
# title: Checklists of a prior assessment
# description: Which items a level asks for, from `policies/data/assessment.json`.
package lib.checklist

import rego.v1

# METADATA
# title: A level has a checklist
there(level) if {
	is_number(level)
	is_array(data.data.assessment[sprintf("%d", [level])])
}

# METADATA
# title: The items of a level
# description: Undefined for a level without a checklist.
of_level(level) := data.data.assessment[sprintf("%d", [level])] if there(level)

# METADATA
# title: Some level asks for it
known(item) if {
	some _, items in data.data.assessment
	item in items
}
