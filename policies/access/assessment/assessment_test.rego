package access.assessment_test

import data.access.assessment
import data.lib.checklist
import rego.v1

asked(levels, assessed) := found if {
	found := assessment.answer with input as {"levels": levels, "assessed": assessed}
}

test_every_level_has_a_checklist_and_a_stricter_one_asks_for_more if {
	every level in [1, 2, 3, 4] {
		count(checklist.of_level(level)) > 0
	}
	every level in [1, 2, 3] {
		below := {item | some item in checklist.of_level(level)}
		above := {item | some item in checklist.of_level(level + 1)}
		count(below - above) == 0
		count(above - below) > 0
	}
}

test_every_item_has_words_in_both_languages_and_the_law_behind_it if {
	every level in [1, 2, 3, 4] {
		every item in checklist.of_level(level) {
			count(data.data.checklist[item].en) > 40
			count(data.data.checklist[item].zh) > 15
			count(data.data.checklist[item].law) > 0
		}
	}
}

test_no_text_is_for_an_item_that_no_level_asks_for if {
	used := {item | some level in [1, 2, 3, 4]; some item in checklist.of_level(level)}
	count({item | some item, _ in data.data.checklist; not item in used}) == 0
}

test_sensitive_data_asks_for_the_impact_assessment_of_the_law if {
	laws := {law | some item in checklist.of_level(3); some law in data.data.checklist[item].law}
	count({"PIPL 55", "PIPL 56", "DSL 21"} - laws) == 0
}

test_what_lacks_is_named if {
	some_items := [item | some item in checklist.of_level(3); item != "least_data"]
	found := asked([3], some_items)
	not found.complete
	found.lacking == ["least_data"]
}

test_a_whole_checklist_is_complete if {
	found := asked([1, 3], checklist.of_level(3))
	found.complete
	count(found.items) == count(checklist.of_level(3))
	every row in found.items {
		row.confirmed
		row.zh != ""
	}
}

test_the_strictest_level_counts if {
	not asked([1, 4], checklist.of_level(1)).complete
}

test_an_unknown_level_is_never_assessed if {
	every levels in [[5], [], [3, "3"], null] {
		not asked(levels, checklist.of_level(4)).complete
	}
}

test_a_misspelt_item_is_named if {
	asked([1], ["purpose_needs"]).unknown == ["purpose_needs"]
}

test_a_missing_question_is_not_complete if {
	found := assessment.answer with input as {}
	not found.complete
}
