# METADATA
# title: Does it fit the quotas
# description: >-
#   Asked while a session runs, when a request is submitted and when a release is about to leave. The strictest of a version's grants
#   counts, so that a second grant never widens the first. A missing fact is answered with no.
package usage.quota

import data.lib.number
import data.lib.quota
import data.lib.reason
import rego.v1

default allow := false

allow if {
	complete
	count(codes) == 0
}

complete if {
	is_string(input.stage)
	is_array(data.data.quotas.stages[input.stage])
	is_array(input.grants)
	is_object(input.adds)
	every grant in input.grants {
		is_number(grant.id)
		is_string(grant.version)
		quota.stated(grant)
	}
}

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
codes contains "input_incomplete" if not complete

# METADATA
# title: The quota is not used up
# description: >-
#   A steward grants a dataset version with quotas: sessions, processor time, cells, bytes shown, requests, releases and what is in them.
#   They are counted for the whole project, since the grant was given.
# custom:
#   short_name: quota_spent
#   message: A quota that came with the grant of this data is used up.
#   remedy: Ask the data steward for more; what you have submitted stays as it is.
codes contains "quota_spent" if count(spent) > 0

spent contains {"grant": grant.id, "version": grant.version, "name": name} if {
	complete
	some grant in input.grants
	some name in quota.spent(grant, input.stage, input.adds)
}

lefts contains [name, quota.left(grant, name)] if {
	complete
	some grant in input.grants
	some name in (quota.names(input.stage) & object.keys(grant.quotas))
}

limited contains pair[0] if some pair in lefts

left := {name: least_of(name) | some name in limited}

least_of(name) := number.least({pair[1] | some pair in lefts; pair[0] == name})

# METADATA
# title: What will soon be used up
# description: At the percentage in the policy's data people are warned.
near contains {"grant": grant.id, "version": grant.version, "name": name} if {
	complete
	some grant in input.grants
	some name in (quota.names(input.stage) & object.keys(grant.quotas))
	is_number(grant.quotas[name])
	is_number(grant.used[name])
	grant.used[name] * 100 >= grant.quotas[name] * data.data.quotas.warn_percent
}

# METADATA
# title: What will soon be over
# description: A grant or the project itself, by the seconds that are left of it.
ending contains item.name if {
	some item in input.ends
	is_number(item.seconds)
	item.seconds <= data.data.quotas.warn_seconds
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": allow,
	"reasons": [reason.of(code) | some code in sort(codes)],
	"spent": spent,
	"left": left,
	"near": near,
	"ending": ending,
}
