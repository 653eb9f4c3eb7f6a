# METADATA
# title: Who may review, and when it is enough
# description: >-
#   Four eyes (invariant 9): never the author, never a member of the project, always a steward of data in the lineage; complete when
#   enough different people approved and each dataset's stewards had their say.
package release.review

import data.lib.reason
import rego.v1

complete_input if {
	is_string(input.person.name)
	is_array(input.person.groups)
	is_string(input.request.author)
	is_array(input.request.project_members)
	is_object(input.request.stewards)
	is_string(input.request.state)
	is_array(input.reviews)
	input.action in {"approve", "return", "reject", "review"}
}

codes contains "input_incomplete" if not complete_input

codes contains "wrong_role" if not "stewards" in input.person.groups

codes contains "own_request" if not input.person.name != input.request.author

codes contains "own_project" if input.person.name in input.request.project_members

codes contains "not_in_review" if not input.request.state == "in_review"

codes contains "not_a_steward_of_the_data" if not steward_of_some

codes contains "already_reviewed" if {
	some given in input.reviews
	given.reviewer == input.person.name
	input.action != "review"
}

steward_of_some if {
	some _, names in input.request.stewards
	input.person.name in names
}

# METADATA
# title: May this person decide
default allow := false

allow if {
	complete_input
	count(codes) == 0
}

# METADATA
# title: Who has approved, this person included when they now do
approvers contains given.reviewer if {
	some given in input.reviews
	given.verdict == "approve"
	given.reviewer != input.request.author
}

approvers contains input.person.name if {
	allow
	input.action == "approve"
}

vetoed if {
	some given in input.reviews
	given.verdict in {"reject", "return"}
}

covered if {
	count(input.obligations.stewards_of) > 0
	every dataset in input.obligations.stewards_of {
		some name in input.request.stewards[dataset]
		name in approvers
	}
}

# METADATA
# title: Is it enough
default complete := false

complete if {
	complete_input
	not vetoed
	is_number(input.obligations.approvals)
	input.obligations.approvals > 0
	count(approvers) >= input.obligations.approvals
	covered
}

# METADATA
# title: The answer
# entrypoint: true
answer := {"allow": allow, "complete": complete, "reasons": reason.all(codes)}
