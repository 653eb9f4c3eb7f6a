package access.twin_test

import data.access.twin
import rego.v1

test_every_level_has_terms if {
	every level in [1, 2, 3, 4] {
		found := twin.answer with input as {"classification": level}
		found.allow
		found.level <= level
		found.epsilon > 0
	}
}

test_stricter_levels_spend_less if {
	sensitive := twin.answer with input as {"classification": 3}
	restricted := twin.answer with input as {"classification": 4}
	restricted.epsilon < sensitive.epsilon
}

test_unknown_and_missing_classifications_have_no_twin if {
	every question in [{}, {"classification": 5}, {"classification": "3"}, {"classification": null}] {
		found := twin.answer with input as question
		not found.allow
		count(found.reasons) == 1
	}
}

test_terms_without_a_number_are_none if {
	found := twin.answer with input as {"classification": 3} with data.data.twins as {"3": {"level": 2}}
	not found.allow
}
