package lib.level_test

import data.lib.level
import rego.v1

test_four_levels_are_known if {
	every number in [1, 2, 3, 4] {
		level.known(number)
	}
}

test_nothing_else_is_known if {
	every number in [0, 5, -1, "3", null, true, [3]] {
		not level.known(number)
	}
}

test_one_blind_dataset_makes_the_session_blind if level.narrowest({"open", "guarded", "blind"}) == "blind"

test_guarded_is_narrower_than_open if level.narrowest({"open", "guarded"}) == "guarded"

test_open_alone_is_open if level.narrowest({"open"}) == "open"

test_an_unknown_view_is_no_view if not level.narrowest({"wide"})

test_stricter_levels_have_stricter_numbers if {
	every pair in [["1", "2"], ["2", "3"], ["3", "4"]] {
		lower := data.data.levels[pair[0]]
		upper := data.data.levels[pair[1]]
		lower.min_contributors <= upper.min_contributors
		lower.p_percent <= upper.p_percent
		lower.dominance_k_percent >= upper.dominance_k_percent
		lower.max_cells >= upper.max_cells
		lower.approvals <= upper.approvals
		every extension in upper.files {
			extension in lower.files
		}
	}
}
