package session.view_test

import data.session.view
import rego.v1

test_the_narrowest_level_counts if {
	found := view.answer with input as {"classifications": [1, 4]}
	found.view == "blind"
	found.limits.bytes_per_hour == data.data.levels["4"].budget_bytes_per_hour
}

test_sensitive_data_is_guarded_and_metered if {
	found := view.answer with input as {"classifications": [3]}
	found.view == "guarded"
	every limit in found.limits {
		limit > 0
	}
}

test_unknown_levels_show_nothing if not view.answer with input as {"classifications": [3, 9]}

test_no_level_shows_nothing if not view.answer with input as {"classifications": []}

test_a_missing_question_shows_nothing if not view.answer with input as {}
