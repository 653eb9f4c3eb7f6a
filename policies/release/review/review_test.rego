package release.review_test

import data.release.review
import rego.v1

asked := {
	"action": "approve",
	"person": {"name": "stella", "groups": ["stewards"]},
	"request": {
		"author": "ana",
		"project_members": ["ana", "bo"],
		"state": "in_review",
		"classifications": [3],
		"stewards": {"nafld": ["stella"]},
	},
	"held": [],
	"reviews": [],
	"obligations": {"approvals": 1, "stewards_of": ["nafld"], "protect": false},
}

as_person(name, groups) := object.union(asked, {"person": {"name": name, "groups": groups}})

with_request(changes) := object.union(asked, {"request": object.union(asked.request, changes)})

two := object.union(
	with_request({"stewards": {"nafld": ["stella"], "census": ["stan"]}}),
	{"obligations": {"approvals": 2, "stewards_of": ["census", "nafld"]}},
)

verdict(reviewer, said) := {"reviewer": reviewer, "verdict": said, "reason": "seen"}

codes(answer) := {reason.code | some reason in answer.reasons}

test_the_steward_of_the_data_completes if {
	review.answer == {"allow": true, "complete": true, "reasons": []} with input as asked
}

test_another_steward_can_object_until_it_leaves if {
	every action in ["return", "reject"] {
		objection := object.union(with_request({"state": "approved"}), {"action": action})
		found := review.answer with input as objection
		found.allow
		not review.allow with input as object.union(objection, {"reviews": [verdict("stella", "approve")]})
		not review.allow with input as object.union(objection, {"request": {"state": "releasing"}})
	}
}

test_outputs_are_held_back_where_the_level_allows_it if {
	holding := object.union(asked, {"held": ["story.ipynb"]})
	review.allow with input as holding
	every levels in [[3, 4], [9], [], ["3"]] {
		found := review.answer with input as object.union(holding, {"request": {"classifications": levels}})
			with data.data.reviews as {"3": {"in_part": true}, "4": {"in_part": false}}
		not found.allow
		"not_in_part" in codes(found)
	}
	not review.allow with input as object.remove(asked, ["held"])
}

test_looking_completes_nothing if {
	found := review.answer with input as object.union(asked, {"action": "review"})
	found.allow
	not found.complete
}

test_who_may_not_decide if {
	cases := {
		"own_request": as_person("ana", ["stewards"]),
		"own_project": as_person("bo", ["stewards"]),
		"not_a_steward_of_the_data": as_person("stan", ["stewards"]),
		"wrong_role": as_person("stella", ["admins"]),
		"not_in_review": with_request({"state": "approved"}),
		"already_reviewed": object.union(asked, {"reviews": [verdict("stella", "approve")]}),
		"input_incomplete": object.union(asked, {"action": "bless"}),
	}
	every code, question in cases {
		found := review.answer with input as question
		not found.allow
		code in codes(found)
	}
}

test_every_dataset_has_its_say if {
	first := review.answer with input as two
	not first.complete
	second := review.answer with input as object.union(two, {"reviews": [verdict("stan", "approve")]})
	second.complete
}

test_two_stewards_of_one_dataset_are_not_both_datasets if {
	question := object.union(two, {"reviews": [verdict("sten", "approve")]})
	not review.complete with input as question
}

test_a_rejection_is_never_outvoted if {
	not review.complete with input as object.union(two, {"reviews": [verdict("stan", "reject")]})
}

test_the_authors_approval_never_counts if {
	not review.complete with input as object.union(two, {
		"reviews": [verdict("ana", "approve")],
		"obligations": {"approvals": 2, "stewards_of": ["nafld"]},
	})
}

test_without_obligations_nothing_is_complete if {
	every obligations in [{}, {"approvals": 0, "stewards_of": ["nafld"]}, {"approvals": 1, "stewards_of": []}] {
		question := object.union(object.remove(asked, ["obligations"]), {"obligations": obligations})
		not review.complete with input as question
	}
}

test_every_missing_field_refuses if {
	every field in ["action", "person", "request", "reviews"] {
		not review.allow with input as object.remove(asked, [field])
	}
	every field in ["author", "project_members", "state", "stewards"] {
		question := object.union(object.remove(asked, ["request"]), {"request": object.remove(asked.request, [field])})
		not review.allow with input as question
	}
}
