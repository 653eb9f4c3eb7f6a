package release.cells_test

import data.release.cells
import rego.v1

text := {"id": "1.1", "type": "text", "characters": 40, "findings": [], "bits": 0}

picture := {"id": "2.1", "type": "picture", "characters": 0, "findings": [], "bits": 0}

both := {"reviewer": "stella", "verdict": "approve", "approved": ["1.1", "2.1"]}

second := object.union(both, {"reviewer": "stefan"})

question := {"classifications": [2], "outputs": [text, picture], "reviews": [both]}

codes(answer, id) := {reason.code | some one in answer.off; one.id == id; some reason in one.reasons}

test_what_was_approved_leaves if {
	found := cells.answer with input as question
	found.leaves == ["1.1", "2.1"]
	{[want.type, want.approvals] | some want in found.approvals} == {["picture", 1], ["text", 1]}
	count(found.off) == 0
}

test_nothing_leaves_by_default if {
	every reviews in [[], [object.union(both, {"approved": []})], [object.union(both, {"verdict": "return"})]] {
		found := cells.answer with input as object.union(question, {"reviews": reviews})
		found.leaves == []
	}
}

test_everybody_who_approves_must_approve_the_output if {
	found := cells.answer with input as object.union(question, {"reviews": [both, object.union(second, {"approved": ["1.1"]})]})
	found.leaves == ["1.1"]
}

test_sensitive_data_lets_text_leave_with_two_approvals if {
	one := cells.answer with input as object.union(question, {"classifications": [2, 3]})
	one.leaves == []
	one.types == ["text"]
	codes(one, "2.1") == {"output_type"}
	two := cells.answer with input as object.union(question, {"classifications": [2, 3], "reviews": [both, second]})
	two.leaves == ["1.1"]
	again := cells.answer with input as object.union(question, {"classifications": [3], "reviews": [both, both]})
	again.leaves == []
}

test_restricted_data_lets_no_output_leave if {
	found := cells.answer with input as object.union(question, {"classifications": [1, 4], "reviews": [both, second]})
	found.types == []
	found.leaves == []
	codes(found, "1.1") == {"output_type", "output_long"}
}

test_an_output_with_a_finding_cannot_be_approved if {
	cases := {
		"raw_records": "output_records",
		"unreadable": "output_unreadable",
		"hidden_characters": "output_hidden",
		"unheard_of": "output_finding",
	}
	every finding, code in cases {
		outputs := [object.union(text, {"findings": [finding]}), picture]
		found := cells.answer with input as object.union(question, {"outputs": outputs})
		found.leaves == ["2.1"]
		codes(found, "1.1") == {code}
	}
}

test_an_output_that_resembles_records_cannot_be_approved if {
	found := cells.answer with input as object.union(question, {"outputs": [object.union(text, {"bits": 20})]})
	found.leaves == []
	codes(found, "1.1") == {"output_records"}
}

test_a_long_output_cannot_be_approved if {
	found := cells.answer with input as object.union(question, {"outputs": [object.union(text, {"characters": 20001})]})
	found.leaves == []
	codes(found, "1.1") == {"output_long"}
}

test_an_unknown_type_does_not_leave if {
	found := cells.answer with input as object.union(question, {"outputs": [object.union(text, {"type": "movie"})]})
	found.leaves == []
	codes(found, "1.1") == {"output_type"}
}

test_missing_facts_let_nothing_leave if {
	every field in ["classifications", "reviews"] {
		found := cells.answer with input as object.remove(question, [field])
		found.leaves == []
		"input_incomplete" in codes(found, "1.1")
	}
	every field in ["type", "findings", "characters", "bits"] {
		found := cells.answer with input as object.union(question, {"outputs": [object.remove(text, [field])]})
		found.leaves == []
		"input_incomplete" in codes(found, "1.1")
	}
	every levels in [[], [9], "1"] {
		found := cells.answer with input as object.union(question, {"classifications": levels})
		found.leaves == []
	}
	nothing := cells.answer with input as {}
	nothing.leaves == []
}

# The request itself is approved by as many: an output that needs more would be stripped without anybody noticing.
test_a_notebook_gets_as_many_approvals_as_its_outputs_need if {
	every number, row in data.data.cells {
		every _, approvals in row.approvals {
			approvals <= data.data.reviews[number].approvals.file
		}
	}
}
