# METADATA
# title: Starting a sandbox
# description: >-
#   Membership, an active project, and at least one grant in force for the project's own purpose (R4, R7). Grants that are over
#   are left out and named; a project whose every grant is over may not start.
package access.start_sandbox

import data.lib.level
import data.lib.reason
import rego.v1

# METADATA
# title: May this person start a sandbox for this project now
default allow := false

allow if {
	complete
	count(refusals) == 0
	count(in_force) > 0
}

complete if {
	is_string(input.person.name)
	is_array(input.person.groups)
	is_string(input.project.state)
	is_string(input.project.expires_at)
	is_string(input.project.purpose)
	is_array(input.project.members)
	is_array(input.grants)
	is_string(input.now)
}

refusals contains "input_incomplete" if not complete

refusals contains "not_an_analyst" if not "analysts" in input.person.groups

refusals contains "not_a_member" if not input.person.name in input.project.members

refusals contains "project_not_active" if not input.project.state == "active"

refusals contains "project_expired" if not input.now < input.project.expires_at

refusals contains "no_grant" if count(input.grants) == 0

# METADATA
# title: Why single grants do not count
grant_faults contains [grant.id, "grant_expired"] if {
	some grant in input.grants
	not input.now < grant.expires_at
}

grant_faults contains [grant.id, "grant_revoked"] if {
	some grant in input.grants
	not grant.revoked_at == null
}

grant_faults contains [grant.id, "grant_other_purpose"] if {
	some grant in input.grants
	not grant.purpose == input.project.purpose
}

grant_faults contains [grant.id, "version_destroyed"] if {
	some grant in input.grants
	not grant.version_state == "available"
}

grant_faults contains [grant.id, "unknown_classification"] if {
	some grant in input.grants
	not level.known([grant.classification])
}

faulty contains id if {
	some pair in grant_faults
	id := pair[0]
}

in_force := sort({grant.id |
	some grant in input.grants
	not grant.id in faulty
})

grant_codes contains code if {
	some pair in grant_faults
	code := pair[1]
}

codes contains code if some code in refusals

codes contains code if {
	count(in_force) == 0
	some code in grant_codes
}

# METADATA
# title: What the session may show; nothing when no grant is in force
default shown := {"view": "blind", "limits": {}}

shown := {"view": level.view(levels), "limits": level.limits(levels)} if level.known(levels)

levels := [grant.classification | some grant in input.grants; grant.id in in_force]

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": allow,
	"reasons": reason.all(codes),
	"grants": in_force,
	"left_out": sort([pair | some pair in grant_faults]),
	"view": shown.view,
	"limits": shown.limits,
}
