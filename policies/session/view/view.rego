# METADATA
# title: What a session may show
# description: >-
#   View level and budgets by the classifications mounted: the narrowest view, and the smallest budget that any level sets.
#   0 in the data means metered without a limit. Undefined for no or unknown classifications, so that nobody shows anything.
package session.view

import data.lib.level
import data.lib.number
import rego.v1

unknown contains found if {
	some found in input.classifications
	not level.known(found)
}

mounted contains level.row(found) if {
	some found in input.classifications
}

views contains row.view if some row in mounted

bytes_per_hour contains row.budget_bytes_per_hour if some row in mounted

bytes_per_day contains row.budget_bytes_per_day if some row in mounted

cells_per_hour contains row.budget_cells_per_hour if some row in mounted

images_per_hour contains row.budget_images_per_hour if some row in mounted

output_bytes contains row.max_output_bytes if some row in mounted

# METADATA
# title: The answer
# entrypoint: true
answer := {"view": level.narrowest(views), "limits": limits} if {
	is_array(input.classifications)
	count(input.classifications) > 0
	count(unknown) == 0
}

limits := {
	"bytes_per_hour": number.smallest_set(bytes_per_hour),
	"bytes_per_day": number.smallest_set(bytes_per_day),
	"cells_per_hour": number.smallest_set(cells_per_hour),
	"images_per_hour": number.smallest_set(images_per_hour),
	"output_bytes": number.smallest_set(output_bytes),
}
