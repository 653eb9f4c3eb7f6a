# METADATA
# title: Parameters of the checks
# description: The strictest numbers over the classifications of all data an output may come from. Undefined for unknown levels, so the caller has none.
package release.parameters

import data.lib.level
import rego.v1

largest(field) := max(level.numbers(input.classifications, field))

smallest(field) := min(level.numbers(input.classifications, field))

protect if {
	some wanted in level.numbers(input.classifications, "protect")
	wanted == true
}

default protecting := false

protecting if protect

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"min_contributors": largest("min_contributors"),
	"dominance": {"n": largest("dominance_n"), "k_percent": smallest("dominance_k_percent")},
	"p_percent": largest("p_percent"),
	"group_share_percent": smallest("group_share_percent"),
	"max_cells": smallest("max_cells"),
	"protect": protecting,
} if {
	level.known(input.classifications)
}
