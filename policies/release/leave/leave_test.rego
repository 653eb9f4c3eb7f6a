package release.leave_test

import data.release.leave
import rego.v1

question := {
	"request": {"id": "R-1", "state": "approved"},
	"project": {"name": "liver", "state": "active"},
}

codes(answer) := {reason.code | some reason in answer.reasons}

test_what_is_approved_leaves_an_active_project if {
	found := leave.answer with input as question
	found.allow
	count(found.reasons) == 0
	leave.allow with input as object.union(question, {"request": {"state": "releasing"}})
}

test_nothing_leaves_a_project_that_is_not_active if {
	every state in ["frozen", "closed", "unheard_of"] {
		found := leave.answer with input as object.union(question, {"project": {"state": state}})
		not found.allow
		codes(found) == {"project_not_active"}
	}
}

test_nothing_leaves_unapproved if {
	found := leave.answer with input as object.union(question, {"request": {"state": "in_review"}})
	not found.allow
	codes(found) == {"not_approved"}
}

test_missing_facts_refuse if {
	every field in ["request", "project"] {
		found := leave.answer with input as object.remove(question, [field])
		not found.allow
		"input_incomplete" in codes(found)
	}
}
