package release.parameters_test

import data.release.parameters
import rego.v1

test_sensitive_data_needs_ten_people if {
	found := parameters.answer with input as {"classifications": [3]}
	found.min_contributors == 10
	found.dominance == {"n": 2, "k_percent": 90}
	found.p_percent == 10
	found.protect
}

test_the_strictest_number_of_each_counts if {
	found := parameters.answer with input as {"classifications": [1, 3, 4]}
	found.min_contributors == 20
	found.dominance == {"n": 2, "k_percent": 75}
	found.max_cells == data.data.levels["4"].max_cells
}

test_only_files_that_every_level_names_are_opened if {
	found := parameters.answer with input as {"classifications": [1, 2]}
	found.files == ["csv", "ipynb", "md", "png", "txt"]
	mixed := parameters.answer with input as {"classifications": [1, 3]}
	not "png" in mixed.files
	none := parameters.answer with input as {"classifications": [1, 4]}
	none.files == []
}

test_the_strictest_numbers_for_regressions_count if {
	found := parameters.answer with input as {"classifications": [1, 4]}
	found.regression == data.data.regressions["4"]
	three := parameters.answer with input as {"classifications": [3]}
	three.regression == data.data.regressions["3"]
}

test_a_level_without_numbers_for_regressions_has_no_parameters if {
	not parameters.answer with input as {"classifications": [3]} with data.data.regressions as {}
}

test_protection_has_the_strictest_numbers_of_each if {
	found := parameters.answer with input as {"classifications": [1, 3]}
	found.protection.method == "suppress"
	found.protection.rounding_base == 15
	found.protection.epsilon == 0.5
	found.protection.epsilon_budget == 3
}

test_a_level_may_ask_for_rounding_at_the_least if {
	row := object.union(data.data.protection.levels["3"], {"method": "round"})
	levels := {"1": data.data.protection.levels["1"], "3": row}
	found := parameters.answer with input as {"classifications": [1, 3]} with data.data.protection.levels as levels
	found.protection.method == "round"
}

test_a_level_of_an_unknown_method_has_no_parameters if {
	row := object.union(data.data.protection.levels["3"], {"method": "guess"})
	levels := {"3": row}
	not parameters.answer with input as {"classifications": [3]} with data.data.protection.levels as levels
}

test_rounding_hides_whether_a_group_reaches_the_threshold if {
	every number, row in data.data.levels {
		data.data.protection.levels[number].rounding_base > row.min_contributors
	}
}

test_unknown_levels_have_no_parameters if not parameters.answer with input as {"classifications": [3, 9]}

test_nothing_has_no_parameters if not parameters.answer with input as {"classifications": []}

test_data_may_switch_protection_off if {
	row := object.union(data.data.levels["3"], {"protect": false})
	found := parameters.answer with input as {"classifications": [3]} with data.data.levels as {"3": row}
	found.protect == false
}
