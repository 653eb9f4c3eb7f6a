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
	input.person.name != ""
	is_array(input.person.groups)
	is_string(input.request.author)
	is_array(input.request.project_members)
	is_object(input.request.stewards)
	is_string(input.request.state)
	is_array(input.request.classifications)
	is_array(input.held)
	is_array(input.reviews)
	input.action in {"approve", "return", "reject", "review"}
}

is_steward if "stewards" in input.person.groups

is_other if {
	is_string(input.request.author)
	input.person.name != input.request.author
}

is_outsider if {
	is_array(input.request.project_members)
	count({name | some name in input.request.project_members; name == input.person.name}) == 0
}

in_review if input.request.state == "in_review"

# approved and not yet gone: another steward can still object
in_review if {
	input.request.state == "approved"
	input.action in {"return", "reject"}
}

steward_of_some if {
	some names in input.request.stewards
	input.person.name in names
}

reviewed_before if {
	some given in input.reviews
	given.reviewer == input.person.name
}

# METADATA
# title: All facts are there
# description: A question with a missing or mistyped fact is answered with no.
# custom:
#   short_name: input_incomplete
codes contains "input_incomplete" if not complete_input

# METADATA
# title: The person is a steward
# description: Decisions on releases are made in the role of a steward.
# custom:
#   short_name: wrong_role
codes contains "wrong_role" if not is_steward

# METADATA
# title: Nobody decides on their own request
# description: Four eyes.
# custom:
#   short_name: own_request
#   message: Nobody decides on their own request.
#   remedy: Another steward of the data has to decide.
codes contains "own_request" if not is_other

# METADATA
# title: Nobody decides on a request of their own project
# description: Members of a project profit from its releases.
# custom:
#   short_name: own_project
#   message: Nobody decides on a request of a project they are a member of.
#   remedy: A steward outside the project has to decide.
codes contains "own_project" if not is_outsider

# METADATA
# title: The request waits for a decision
# description: Only what is in review can be decided.
# custom:
#   short_name: not_in_review
#   message: The request is not waiting for a decision.
#   remedy: Look at its state and history.
codes contains "not_in_review" if not in_review

# METADATA
# title: The person is a steward of the data
# description: A steward speaks for their own datasets.
# custom:
#   short_name: not_a_steward_of_the_data
#   message: You are not a steward of the data this request is derived from.
#   remedy: Leave it to the data's own stewards.
codes contains "not_a_steward_of_the_data" if not steward_of_some

# METADATA
# title: One decision each
# description: A second verdict on the same revision would count one person twice.
# custom:
#   short_name: already_reviewed
#   message: You have already decided on this revision.
#   remedy: Wait for the other reviewers or for a new revision.
codes contains "already_reviewed" if {
	reviewed_before
	input.action in {"approve", "return", "reject"}
}

# METADATA
# title: Whether outputs may leave without those held back
# description: Per level in `policies/data/reviews.json`. What leaves is a part of what was judged together, so that it tells less than the whole.
# custom:
#   short_name: not_in_part
#   message: Data of this level leave as the whole request or not at all.
#   remedy: Return the request with your question, or approve all of it.
codes contains "not_in_part" if {
	count(input.held) > 0
	not in_part
}

in_part if {
	count(input.request.classifications) > 0
	every level in input.request.classifications {
		data.data.reviews[sprintf("%d", [level])].in_part == true
	}
}

# METADATA
# title: May this person decide
default allow := false

allow if {
	complete_input
	count(codes) == 0
}

# METADATA
# title: Who has approved
# description: This person included when they now do; the author never.
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

uncovered contains dataset if {
	some dataset in input.obligations.stewards_of
	not has_say(dataset)
}

has_say(dataset) if {
	some name in input.request.stewards[dataset]
	name in approvers
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
	is_array(input.obligations.stewards_of)
	count(input.obligations.stewards_of) > 0
	count(uncovered) == 0
}

# METADATA
# title: The answer
# entrypoint: true
answer := {
	"allow": allow,
	"complete": complete,
	"reasons": [reason.of(code) | some code in sort(codes)],
}
