# METADATA
# title: Quotas
# description: >-
#   A quota is the most that a project may use of one dataset version under one grant. What is counted against it depends on the stage,
#   in `policies/data/quotas.json`. A quota that nothing counts is used up: what cannot be measured is not granted.
package lib.quota

import rego.v1

# METADATA
# title: A grant states its quotas and what was used
stated(grant) if {
	is_object(grant.quotas)
	is_object(grant.used)
}

# METADATA
# title: The names that count at a stage
# description: None for a stage that is not in the data; such a question is incomplete and refused.
names(stage) := {name | some name in object.get(data.data.quotas.stages, stage, [])}

counted contains name if {
	some each in data.data.quotas.stages
	some name in each
}

capped := {name | some name in data.data.quotas.capped}

known := counted | capped

# METADATA
# title: What of a grant does not fit any more
# description: >-
#   The names whose sum would be above the quota with what is added now; one more of each where nothing is said.
#   An unknown name never fits.
spent(grant, stage, adds) := over(grant, stage, adds) | uncounted(grant)

over(grant, stage, adds) := {name | some name in (names(stage) & object.keys(grant.quotas)); not fits(grant, name, adds)}

uncounted(grant) := object.keys(grant.quotas) - known

fits(grant, name, adds) if {
	most := grant.quotas[name]
	is_number(most)
	most > 0
	is_number(grant.used[name])
	grant.used[name] >= 0
	added := object.get(adds, name, 1)
	is_number(added)
	added >= 0
	grant.used[name] + added <= most
}

# METADATA
# title: How much is left of a quota
# description: Nothing, where a number is missing.
left(grant, name) := grant.quotas[name] - grant.used[name] if {
	is_number(grant.quotas[name])
	is_number(grant.used[name])
	grant.used[name] < grant.quotas[name]
} else := 0
