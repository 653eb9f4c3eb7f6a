# METADATA
# title: What a project must state
# description: >-
#   By the levels of its data, from `policies/data/terms.json`. Title, purpose, sponsor and an end every project has; legal basis
#   and output plan it must state from the levels that ask for them.
package lib.terms

import rego.v1

# METADATA
# title: The terms that a level asks for
# description: Undefined for a level that the data does not name, and unknown means no.
of_level(level) := data.data.terms[sprintf("%d", [level])] if {
	is_number(level)
	is_array(data.data.terms[sprintf("%d", [level])])
}
