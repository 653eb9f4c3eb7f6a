# METADATA
# title: Making a synthetic twin
# description: >-
#   What a synthetic twin of data of some classification may cost in privacy, and the classification of what is made, from
#   `policies/data/twins.json`. An unknown classification has no twin.
package access.twin

import data.lib.level
import data.lib.reason
import rego.v1

# METADATA
# title: May a twin be made
default allow := false

allow if count(refusals) == 0

priced if {
	level.known(input.classification)
	level.known(terms.level)
	is_number(terms.epsilon)
	terms.epsilon > 0
	is_number(terms.delta_per_million)
	is_number(terms.rows_per_unit)
}

terms := data.data.twins[sprintf("%d", [input.classification])] if is_number(input.classification)

# METADATA
# title: The data's level has a price
# description: A twin spends privacy; where no one has said how much, none is made.
# custom:
#   short_name: twin_not_priced
#   message: There is no rule for twins of data of this classification.
#   remedy: Ask an administrator to look at the policy data for twins.
refusals contains "twin_not_priced" if not priced

# METADATA
# title: The answer
# entrypoint: true
answer := object.union(terms, {"allow": true, "reasons": []}) if {
	allow
} else := {"allow": false, "reasons": [reason.of(code) | some code in sort(refusals)]}
