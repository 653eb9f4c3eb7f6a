# METADATA
# title: Classification levels
# description: What the levels 1 public, 2 internal, 3 sensitive, 4 restricted mean for the rules. Unknown levels mean no.
package lib.level

import rego.v1

# METADATA
# title: Every level is known, and there is at least one
known(levels) if {
	is_array(levels)
	count(levels) > 0
	every level in levels {
		is_number(level)
		data.data.levels[sprintf("%d", [level])]
	}
}

# METADATA
# title: One number of each of several levels
numbers(levels, field) := [data.data.levels[sprintf("%d", [level])][field] | some level in levels]

# METADATA
# title: The narrowest view among levels
# description: One restricted dataset makes the whole session blind.
view(levels) := "blind" if {
	known(levels)
	"blind" in numbers(levels, "view")
} else := "guarded" if {
	known(levels)
	"guarded" in numbers(levels, "view")
} else := "open" if known(levels)

# METADATA
# title: The smallest budget that any level sets
# description: 0 in the data means metered without a limit, so it does not count as the smallest.
budget(levels, field) := min(set_numbers) if {
	set_numbers := [n | some n in numbers(levels, field); n > 0]
	count(set_numbers) > 0
} else := 0

# METADATA
# title: What a session may show, by the levels mounted
limits(levels) := {
	"bytes_per_hour": budget(levels, "budget_bytes_per_hour"),
	"bytes_per_day": budget(levels, "budget_bytes_per_day"),
	"cells_per_hour": budget(levels, "budget_cells_per_hour"),
	"images_per_hour": budget(levels, "budget_images_per_hour"),
	"output_bytes": budget(levels, "max_output_bytes"),
}
