# METADATA
# title: Classification levels
# description: >-
#   What the levels 1 public, 2 internal, 3 sensitive, 4 restricted mean, from `policies/data/levels.json`. A level that is not
#   in the data is unknown, and unknown means no.
package lib.level

import rego.v1

# METADATA
# title: The row of one level
# description: Undefined for anything that is not the number of a known level.
row(number) := data.data.levels[sprintf("%d", [number])]

# METADATA
# title: A number is a known level
known(number) if {
	is_number(number)
	row(number)
}

# METADATA
# title: The narrowest of several views
# description: One restricted dataset makes the whole session blind. Undefined without a view.
narrowest(views) := "blind" if {
	"blind" in views
} else := "guarded" if {
	"guarded" in views
} else := "open" if {
	"open" in views
}
