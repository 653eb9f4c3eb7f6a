package release.decision_test

import data.release.decision
import rego.v1

found_in_text(rule, figures) := file_with("notes.md", [
	finding("scanned", "info"),
	{"rule": rule, "severity": "warn", "cells": 0, "figures": figures},
])

few := {"records": 1, "bits": 40, "together": 0, "earlier": 0, "lines": []}

column(values, bits) := {"columns": [{"table": "t", "column": "c", "values": values, "bits": bits}], "lines": []}

# the answer to a text in which nothing was found
clean := answer if answer := decision.answer with input as file("notes.md")

test_a_text_that_was_not_looked_at_is_refused if {
	refused_with(file_with("notes.md", []), "not_scanned")
	unreadable := decision.answer with input as file_with("notes.md", [finding("unreadable", "fail")])
	not "not_scanned" in codes(unreadable)
}

test_what_was_looked_at_in_part_is_for_a_person if {
	clean.outcome == "review"
	partly := {"rule": "not_fully_scanned", "severity": "warn", "cells": 0, "figures": {"share": 0.4}}
	found := decision.answer with input as file_with("notes.md", [partly])
	found == clean
}

test_the_answer_to_a_single_guess_is_no_answer if {
	every question in [
		found_in_text("record_match", few),
		found_in_text("raw_values", column(1, 40)),
		found_in_text("raw_values", column(19, 400)),
		found_in_text("raw_values", column(300, 7)),
		found_in_text("record_match", object.union(few, {"records": 9, "bits": 14})),
		found_in_text("encoded", {"bytes": 32}),
	] {
		found := decision.answer with input as question
		found == clean
	}
}

test_many_records_are_refused if {
	refused_with(found_in_text("record_match", object.union(few, {"records": 5})), "resembles_data")
	refused_with(found_in_text("record_match", object.union(few, {"together": 15})), "resembles_data")
}

test_records_that_left_before_count if {
	refused_with(found_in_text("record_match", object.union(few, {"earlier": 4})), "resembles_data")
}

test_many_values_of_few_people_are_refused if refused_with(found_in_text("raw_values", column(20, 15)), "resembles_data")

test_a_scan_without_its_figures_is_refused if {
	every figures in [{}, object.remove(few, ["together"]), object.union(few, {"together": "0"}), {"together": 0}] {
		refused_with(found_in_text("record_match", figures), "resembles_data")
	}
	every figures in [{}, {"columns": {}}, column("1", "40"), {"columns": [{}]}] {
		refused_with(found_in_text("raw_values", figures), "resembles_data")
	}
	refused_with(found_in_text("encoded", {}), "encoded")
}

test_encoded_bytes if refused_with(found_in_text("encoded", {"bytes": 257}), "encoded")

test_a_picture_holds_no_text if {
	internal := {"lineage": [object.union(source, {"classification": 2})], "name": "a.png", "kind": "file", "protected": false}
	reviewed_with(with_item(object.union(internal, {"findings": [finding("not_recomputed", "warn")]})), "manual")
}
