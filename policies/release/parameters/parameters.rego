# METADATA
# title: Parameters of the checks
# description: >-
#   The strictest numbers over the classifications of all data an output may come from. Undefined for none and for unknown
#   levels, so that the caller has no parameters and nothing is checked, hence nothing leaves.
package release.parameters

import data.lib.level
import data.lib.number
import rego.v1

unknown contains found if {
	some found in input.classifications
	not level.known(found)
}

rows contains level.row(found) if some found in input.classifications

min_contributors contains row.min_contributors if some row in rows

dominance_n contains row.dominance_n if some row in rows

dominance_k contains row.dominance_k_percent if some row in rows

p_percent contains row.p_percent if some row in rows

group_share contains row.group_share_percent if some row in rows

small_cells_percent contains row.small_cells_percent if some row in rows

small_cells_allowed contains row.small_cells_allowed if some row in rows

max_cells contains row.max_cells if some row in rows

# endings that every level of the data lets a person look at; no other file is opened further than its text
files contains ending if {
	some row in rows
	some ending in row.files
	every other in rows {
		ending in other.files
	}
}

# the numbers for regressions have a file of their own
models contains data.data.regressions[sprintf("%d", [found])] if some found in input.classifications

residual_df contains model.min_residual_df if some model in models

leverage contains model.max_leverage_percent if some model in models

shift contains model.max_shift_percent if some model in models

count_base contains model.count_base if some model in models

digits contains model.digits if some model in models

regression := {
	"min_residual_df": number.greatest(residual_df),
	"max_leverage_percent": number.least(leverage),
	"max_shift_percent": number.least(shift),
	"count_base": number.greatest(count_base),
	"digits": number.least(digits),
}

# how tables are protected at the least, and the numbers for the stricter ways
ways contains data.data.protection.levels[sprintf("%d", [found])] if some found in input.classifications

ranks contains data.data.protection.methods[way.method] if some way in ways

bases contains way.rounding_base if some way in ways

epsilons contains way.epsilon if some way in ways

budgets contains way.epsilon_budget if some way in ways

deltas contains way.delta_per_million if some way in ways

strictest contains name if {
	some name, rank in data.data.protection.methods
	rank == number.greatest(ranks)
}

protection := {
	"method": method,
	"rounding_base": number.greatest(bases),
	"epsilon": number.least(epsilons),
	"epsilon_budget": number.least(budgets),
	"delta_per_million": number.least(deltas),
} if {
	count(ways) > 0
	some method in strictest
}

default protect := false

protect if {
	some row in rows
	row.protect == true
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"min_contributors": number.greatest(min_contributors),
	"dominance": {"n": number.greatest(dominance_n), "k_percent": number.least(dominance_k)},
	"p_percent": number.greatest(p_percent),
	"group_share_percent": number.least(group_share),
	"small_cells_percent": number.least(small_cells_percent),
	"small_cells_allowed": number.least(small_cells_allowed),
	"max_cells": number.least(max_cells),
	"protect": protect,
	"files": sort(files),
	"regression": regression,
	"protection": protection,
} if {
	is_array(input.classifications)
	count(input.classifications) > 0
	count(unknown) == 0
}
