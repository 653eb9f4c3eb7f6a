# METADATA
# title: Starting a sandbox
# description: >-
#   Membership, an active project, and at least one grant in force for the project's own purpose (R4, R7). Grants that are over
#   are left out and named; a project whose every grant is over may not start. A grant counts only when each of its conditions
#   holds: a missing field is a condition that does not.
package access.start_sandbox

import data.lib.checklist
import data.lib.level
import data.lib.number
import data.lib.quota
import data.lib.reason
import data.lib.terms
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
	input.person.name != ""
	is_array(input.person.groups)
	is_string(input.project.name)
	is_string(input.project.state)
	is_string(input.project.expires_at)
	is_string(input.project.purpose)
	is_array(input.project.members)
	is_array(input.project.assessed)
	is_array(input.project.stated)
	is_array(input.grants)
	is_string(input.now)
	input.now > "2"
	works_on in {"data", "twin"}
	every grant in input.grants {
		is_number(grant.id)
		is_string(grant.version)
		is_string(grant.expires_at)
	}
}

is_analyst if "analysts" in input.person.groups

is_member if input.person.name in input.project.members

project_active if input.project.state == "active"

project_running if {
	is_string(input.now)
	is_string(input.project.expires_at)
	input.now < input.project.expires_at
}

has_grants if count(input.grants) > 0

# What the sandbox holds: the granted data itself, or its synthetic twin, which is about nobody and is seen by its own level.
works_on := object.get(input, "works_on", "data")

twinned contains grant.id if {
	some grant in input.grants
	is_string(grant.twin.version)
	level.known(grant.twin.classification)
}

all_twinned if works_on == "data"

all_twinned if {
	works_on == "twin"
	count(in_force - twinned) == 0
}

shown_level(grant) := grant.classification if works_on == "data"

shown_level(grant) := grant.twin.classification if works_on == "twin"

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
#   message: The question was incomplete, so the answer is no.
#   remedy: "Report this to an administrator: a part of the program left a fact out."
refusals contains "input_incomplete" if not complete

# METADATA
# title: The person is an analyst
# description: Sandboxes are started by members of the hub's group of analysts.
# custom:
#   short_name: not_an_analyst
#   message: You are not in the group of analysts.
#   remedy: Ask an administrator to add you.
refusals contains "not_an_analyst" if not is_analyst

# METADATA
# title: The person is a member of the project
# description: Membership is given by name, and ends with its removal.
# custom:
#   short_name: not_a_member
#   message: You are not a member of this project.
#   remedy: Ask the project's sponsor to add you.
refusals contains "not_a_member" if not is_member

# METADATA
# title: The project is active
# description: A frozen or closed project starts nothing.
# custom:
#   short_name: project_not_active
#   message: The project is frozen or closed.
#   remedy: Ask the project's sponsor what happened.
refusals contains "project_not_active" if not project_active

# METADATA
# title: The project is not over
# description: Every project has an end; at that moment it is over.
# custom:
#   short_name: project_expired
#   message: The project's end date has passed.
#   remedy: Ask the project's sponsor to extend it.
refusals contains "project_expired" if not project_running

# METADATA
# title: Something is granted
# description: A project without any grant has nothing to work on.
# custom:
#   short_name: no_grant
#   message: No data is granted to this project.
#   remedy: Ask the data steward for a grant.
refusals contains "no_grant" if not has_grants

# METADATA
# title: There is a twin to work on
# description: Whoever asks for the synthetic twin never gets the data in its place.
# custom:
#   short_name: no_twin
#   message: The project's data has no synthetic twin.
#   remedy: Ask an administrator to make one, or work on the data itself.
refusals contains "no_twin" if not all_twinned

# ---- conditions of a single grant, each stated positively ------------------------------------------------------------
unexpired contains grant.id if {
	some grant in input.grants
	is_string(grant.expires_at)
	is_string(input.now)
	input.now < grant.expires_at
}

unrevoked contains grant.id if {
	some grant in input.grants
	grant.revoked_at == null
}

for_this_purpose contains grant.id if {
	some grant in input.grants
	is_string(grant.purpose)
	grant.purpose == input.project.purpose
}

available contains grant.id if {
	some grant in input.grants
	grant.version_state == "available"
}

classified contains grant.id if {
	some grant in input.grants
	level.known(grant.classification)
}

kept contains grant.id if {
	some grant in input.grants
	grant.kept_until == null
}

kept contains grant.id if {
	some grant in input.grants
	is_string(grant.kept_until)
	is_string(input.now)
	substring(input.now, 0, 10) <= grant.kept_until
}

asked contains grant.id if some grant in input.grants

live := ((((asked & unexpired) & unrevoked) & for_this_purpose) & (available & classified)) & kept

within_quota contains grant.id if {
	some grant in input.grants
	quota.stated(grant)
	count(quota.spent(grant, "start", {})) == 0
}

# The strictest of a version's grants counts: a second one never widens the first.
spent_versions contains grant.version if {
	some grant in input.grants
	grant.id in live
	not grant.id in within_quota
}

in_force contains grant.id if {
	some grant in input.grants
	grant.id in live
	is_string(grant.version)
	not grant.version in spent_versions
}

# METADATA
# title: The grant is not over
# description: Its end is given by the steward.
# custom:
#   short_name: grant_expired
#   message: A grant of this project has ended.
#   remedy: Ask the data steward to renew it, then start again.
grant_faults contains [id, "grant_expired"] if some id in (asked - unexpired)

# METADATA
# title: The grant is not revoked
# description: A steward may revoke at any time, effective at once.
# custom:
#   short_name: grant_revoked
#   message: A grant of this project was revoked.
#   remedy: Ask the data steward why.
grant_faults contains [id, "grant_revoked"] if some id in (asked - unrevoked)

# METADATA
# title: The grant is for this purpose
# description: Data is granted for a purpose, not to a project as such.
# custom:
#   short_name: grant_other_purpose
#   message: A grant was given for another purpose than the project's.
#   remedy: Ask the data steward for a grant for this purpose.
grant_faults contains [id, "grant_other_purpose"] if some id in (asked - for_this_purpose)

# METADATA
# title: The version exists
# description: What was destroyed cannot be mounted.
# custom:
#   short_name: version_destroyed
#   message: A granted dataset version was destroyed.
#   remedy: Ask for a grant of a newer version.
grant_faults contains [id, "version_destroyed"] if some id in (asked - available)

# METADATA
# title: The data may still be there
# description: Until the last day that its datasheet names; after it the data is to be destroyed, not used.
# custom:
#   short_name: retention_over
#   message: The time for which the data may be kept is over.
#   remedy: Ask the data steward, who destroys it or corrects the date in its datasheet.
grant_faults contains [id, "retention_over"] if some id in (asked - kept)

# METADATA
# title: The classification is known
# description: Data of an unknown level has no rules, so nobody may see it.
# custom:
#   short_name: unknown_classification
#   message: The data has a classification that no rule knows.
#   remedy: Ask an administrator to correct the dataset's registration.
grant_faults contains [id, "unknown_classification"] if some id in (asked - classified)

# METADATA
# title: The grant's quotas are not used up
# description: A version under a used-up quota is not mounted; the project's other data still is.
# custom:
#   short_name: quota_spent
grant_faults contains [grant.id, "quota_spent"] if {
	some grant in input.grants
	grant.id in live
	grant.version in spent_versions
}

needed contains item if {
	some grant in input.grants
	grant.id in in_force
	some item in checklist.of_level(shown_level(grant))
}

unlisted contains grant.id if {
	some grant in input.grants
	grant.id in in_force
	number_shown := shown_level(grant)
	level.known(number_shown)
	not checklist.there(number_shown)
}

confirmed contains item if some item in input.project.assessed

assessed if {
	count(needed - confirmed) == 0
	count(unlisted) == 0
}

# METADATA
# title: The project was assessed before its first start
# description: >-
#   What a person must have confirmed, by the levels of what would be mounted, stands in `policies/data/assessment.json`.
# custom:
#   short_name: not_assessed
#   message: The project has not been assessed for data of this classification.
#   remedy: "Ask an administrator to go through the checklist: ./glovebox project assess."
refusals contains "not_assessed" if not assessed

stated contains term if some term in input.project.stated

# What a level asks for that the project does not state. A level without terms lacks everything that can be stated.
lacking contains term if {
	some grant in input.grants
	grant.id in in_force
	some term in terms.of_level(shown_level(grant))
	not term in stated
}

lacking contains term if {
	some grant in input.grants
	grant.id in in_force
	level.known(shown_level(grant))
	not terms.of_level(shown_level(grant))
	some term in ["legal_basis", "output_plan"]
}

# METADATA
# title: The project states its legal basis
# description: Which levels ask for it stands in `policies/data/terms.json`.
# custom:
#   short_name: no_legal_basis
#   message: The project does not state the legal basis that data of this classification needs.
#   remedy: "Ask an administrator to state it: ./glovebox project describe --legal-basis."
refusals contains "no_legal_basis" if "legal_basis" in lacking

# METADATA
# title: The project states what it intends to release
# description: Which levels ask for an output plan stands in `policies/data/terms.json`.
# custom:
#   short_name: no_output_plan
#   message: The project has no output plan, which data of this classification needs.
#   remedy: "Ask an administrator to state it: ./glovebox project describe --output-plan."
refusals contains "no_output_plan" if "output_plan" in lacking

# METADATA
# title: Nothing else is asked for
# description: A term that no rule here knows would otherwise be asked for in vain.
# custom:
#   short_name: unknown_term
#   message: Policy asks for a term of the project that no rule knows.
#   remedy: "Ask an administrator to correct policies/data/terms.json."
refusals contains "unknown_term" if count(lacking - {"legal_basis", "output_plan"}) > 0

codes contains code if some code in refusals

codes contains fault[1] if {
	count(in_force) == 0
	some fault in grant_faults
}

# METADATA
# title: What the session may show
# description: By the levels of what is mounted; nothing, when no grant is in force.
mounted contains level.row(shown_level(grant)) if {
	some grant in input.grants
	grant.id in in_force
}

views contains row.view if some row in mounted

bytes_per_hour contains row.budget_bytes_per_hour if some row in mounted

bytes_per_day contains row.budget_bytes_per_day if some row in mounted

cells_per_hour contains row.budget_cells_per_hour if some row in mounted

images_per_hour contains row.budget_images_per_hour if some row in mounted

output_bytes contains row.max_output_bytes if some row in mounted

memory_bytes contains row.sandbox_memory_bytes if some row in mounted

memory_bytes contains grant.quotas.memory_bytes if {
	some grant in input.grants
	grant.id in in_force
	is_number(grant.quotas.memory_bytes)
}

processor_percent contains row.sandbox_processor_percent if some row in mounted

processes contains row.sandbox_processes if some row in mounted

default view := "blind"

view := level.narrowest(views)

default limits := {}

limits := {
	"bytes_per_hour": number.smallest_set(bytes_per_hour),
	"bytes_per_day": number.smallest_set(bytes_per_day),
	"cells_per_hour": number.smallest_set(cells_per_hour),
	"images_per_hour": number.smallest_set(images_per_hour),
	"output_bytes": number.smallest_set(output_bytes),
	"memory_bytes": number.smallest_set(memory_bytes),
	"processor_percent": number.smallest_set(processor_percent),
	"processes": number.smallest_set(processes),
} if {
	count(mounted) > 0
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": allow,
	"reasons": [reason.of(code) | some code in sort(codes)],
	"grants": in_force,
	"left_out": grant_faults,
	"view": view,
	"limits": limits,
}
