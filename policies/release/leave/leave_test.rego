package release.leave_test

import data.release.leave
import rego.v1

question := {
	"request": {"id": "R-1", "state": "approved", "classifications": [3], "approved_seconds": 1},
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

test_restricted_data_leaves_after_the_cooling_off if {
	early := leave.answer with input as object.union(question, {"request": {"classifications": [1, 4], "approved_seconds": 30}})
	not early.allow
	codes(early) == {"cooling_off"}
	early.wait_seconds == 3570
	late := leave.answer with input as object.union(question, {"request": {"classifications": [1, 4], "approved_seconds": 3600}})
	late.allow
	automatic := leave.answer with input as object.union(question, {"request": {"classifications": [1], "approved_seconds": null}})
	automatic.allow
}

test_what_is_not_known_of_the_cooling_off_waits if {
	every broken in [{"classifications": [9]}, {"classifications": "none"}, {"approved_seconds": "long ago"}] {
		found := leave.answer with input as object.union(question, {"request": broken})
		not found.allow
		"cooling_off" in codes(found)
	}
	absent := object.union(object.remove(question, ["request"]), {"request": {"id": "R-1", "state": "approved"}})
	not leave.allow with input as absent
}

test_missing_facts_refuse if {
	every field in ["request", "project"] {
		found := leave.answer with input as object.remove(question, [field])
		not found.allow
		"input_incomplete" in codes(found)
	}
}
