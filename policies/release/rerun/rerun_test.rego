package release.rerun_test

import data.release.rerun
import rego.v1

done := {"state": "done", "agrees": false, "result": "abc"}

question := {
	"action": "ask",
	"person": {"name": "stella", "groups": ["stewards"]},
	"request": {
		"author": "ana",
		"state": "in_review",
		"project_state": "active",
		"stewards": {"nafld": ["stella", "stefan"]},
		"classifications": [3],
	},
	"runs": [],
}

codes(answer) := {reason.code | some reason in answer.reasons}

test_a_steward_of_the_data_has_it_run if {
	found := rerun.answer with input as question
	found.allow
	found.seconds == 600
	not found.required
}

test_nobody_else_has_it_run if {
	people := [
		{"name": "ana", "groups": ["analysts"]},
		{"name": "stella", "groups": ["analysts"]},
		{"name": "sybil", "groups": ["stewards"]},
		{"name": "adam", "groups": ["admins"]},
	]
	every person in people {
		found := rerun.answer with input as object.union(question, {"person": person})
		not found.allow
		codes(found) == {"rerun_not_yours"}
	}
	own := rerun.answer with input as object.union(question, {"request": {"author": "stella"}})
	codes(own) == {"rerun_not_yours"}
}

test_only_while_it_is_reviewed if {
	changes := [{"state": "checking"}, {"state": "approved"}, {"state": "released"}, {"project_state": "frozen"}]
	every change in changes {
		found := rerun.answer with input as object.union(question, {"request": change})
		codes(found) == {"rerun_not_now"}
	}
}

test_not_without_end if {
	found := rerun.answer with input as object.union(question, {"runs": [done, done, done, done, done]})
	codes(found) == {"rerun_often"}
}

test_restricted_data_wants_it_before_an_approval if {
	asked := object.union(question, {"action": "approve", "request": {"classifications": [2, 4]}})
	without := rerun.answer with input as asked
	without.required
	codes(without) == {"rerun_missing"}
	every run in [{"state": "failed", "result": "abc"}, {"state": "running"}, {"state": "done", "result": null}] {
		found := rerun.answer with input as object.union(asked, {"runs": [run]})
		codes(found) == {"rerun_missing"}
	}
	after := rerun.answer with input as object.union(asked, {"runs": [{"state": "failed"}, done]})
	after.allow
}

test_other_data_can_be_approved_without if {
	found := rerun.answer with input as object.union(question, {"action": "approve"})
	found.allow
}

test_missing_facts_allow_nothing if {
	every field in ["action", "person", "request", "runs"] {
		found := rerun.answer with input as object.remove(question, [field])
		not found.allow
		"input_incomplete" in codes(found)
	}
	every levels in [[], [9], "3"] {
		found := rerun.answer with input as object.union(question, {"request": {"classifications": levels}})
		not found.allow
		found.required
	}
	nothing := rerun.answer with input as {}
	not nothing.allow
	nothing.required
}
