# METADATA
# title: What a session may show
# description: View level and budgets by the classifications mounted; the smallest budget that any level sets. 0 means metered without a limit.
package session.view

import data.lib.level
import rego.v1

# METADATA
# title: The answer
# entrypoint: true
answer := {"view": level.view(input.classifications), "limits": level.limits(input.classifications)} if {
	level.known(input.classifications)
}
